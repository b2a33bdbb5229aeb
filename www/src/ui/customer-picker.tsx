/** Chooses one customer out of thousands by typing part of the name. A combobox in the manner of the ARIA guide. */
import { useId, useState, type KeyboardEvent } from "react";
import type { Customer } from "../data/db.ts";
import { fold } from "../lib/format.ts";

interface Props {
  customers: readonly Customer[];
  value: string;
  onChange(id: string): void;
  error?: string | undefined;
}

const shownMax = 8;

export function CustomerPicker({ customers, value, onChange, error }: Props) {
  const [typed, setTyped] = useState<string | undefined>(undefined);
  const [active, setActive] = useState(0);
  const id = useId();
  const chosen = customers.find((customer) => customer.id === value);
  const open = typed !== undefined;
  const needle = fold(typed);
  const found = open
    ? customers.filter((one) => fold(`${one.name} ${one.company}`).includes(needle)).slice(0, shownMax)
    : [];

  function choose(customer: Customer | undefined): void {
    if (customer) onChange(customer.id);
    setTyped(undefined);
    setActive(0);
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (event.key === "ArrowDown") setActive((now) => Math.min(now + 1, found.length - 1));
    else if (event.key === "ArrowUp") setActive((now) => Math.max(now - 1, 0));
    else if (event.key === "Enter" && open) choose(found[active]);
    else if (event.key === "Escape" && open) setTyped(undefined);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  return (
    <div className="field picker" data-invalid={error ? true : undefined}>
      <div className="field-head">
        <label htmlFor={id}>Customer</label>
      </div>
      <input
        id={id}
        role="combobox"
        aria-expanded={open}
        aria-controls={`${id}-options`}
        aria-activedescendant={open && found[active] ? `${id}-${active}` : undefined}
        aria-invalid={error ? true : undefined}
        autoComplete="off"
        placeholder="Type a name"
        data-testid="field-customerId"
        value={typed ?? chosen?.name ?? (value ? "(deleted customer)" : "")}
        onFocus={(event) => event.target.select()}
        onChange={(event) => {
          setTyped(event.target.value);
          setActive(0);
        }}
        onBlur={() => setTyped(undefined)}
        onKeyDown={onKeyDown}
      />
      <Options id={id} open={open} found={found} active={active} onChoose={choose} />
      <p className="field-note" aria-live="polite">
        {error}
      </p>
    </div>
  );
}

interface OptionsProps {
  id: string;
  open: boolean;
  found: readonly Customer[];
  active: number;
  onChoose(customer: Customer): void;
}

function Options({ id, open, found, active, onChoose }: OptionsProps) {
  return (
    <ul className="picker-options" id={`${id}-options`} role="listbox" aria-label="Customers" hidden={!open}>
      {found.map((customer, index) => (
        <li
          key={customer.id}
          id={`${id}-${index}`}
          role="option"
          aria-selected={index === active}
          onPointerDown={(event) => {
            // Before the field loses the focus, which would close the list.
            event.preventDefault();
            onChoose(customer);
          }}
        >
          {customer.name} <small>{customer.company}</small>
        </li>
      ))}
      {open && found.length === 0 && <li className="picker-none">No customer has that name.</li>}
    </ul>
  );
}
