/** One customer. Every field is written by itself, so two people can edit different fields at once. */
import { add, inc, remove } from "tidewire";
import { useEntity, useLiveQuery } from "tidewire/react";
import { db, type Customer } from "../data/db.ts";
import { customerStatuses } from "../data/schema.ts";
import { capital, count, formatMoney } from "../lib/format.ts";
import { hrefTo } from "../lib/route.ts";
import { showError } from "../lib/toasts.ts";
import { EntityPanel, MissingPanel } from "../ui/entity-panel.tsx";
import { Choice, Field } from "../ui/fields.tsx";
import { Icon } from "../ui/icons.tsx";
import { Chip } from "../ui/marks.tsx";
import { Tags } from "../ui/tags.tsx";
import { proposalTone } from "./proposal-tone.ts";

export function CustomerDetail({ id }: { id: string }) {
  const { row, status } = useEntity(db.customers, id);
  if (!row) return <MissingPanel page="customers" what="customer" status={status} />;
  return <Loaded row={row} />;
}

function Loaded({ row }: { row: Customer }) {
  const update = (patch: Parameters<typeof db.customers.update>[1]) => db.customers.update(row.id, patch);
  const quick = (patch: Parameters<typeof update>[0]) =>
    void update(patch).then(undefined, (error: unknown) => showError("This change could not be stored.", error));
  return (
    <EntityPanel page="customers" row={row} title={row.name} remove={() => db.customers.delete(row.id)}>
      <div className="fields">
        <Field label="Name" name="name" value={row.name} save={(name) => update({ name })} />
        <Field label="Company" name="company" value={row.company} save={(company) => update({ company })} />
        <Field label="Email" name="email" type="email" value={row.email} save={(email) => update({ email })} />
        <Field label="Phone" name="phone" type="tel" value={row.phone} save={(phone) => update({ phone })} />
        <Field label="City" name="city" value={row.city} save={(city) => update({ city })} />
        <Choice
          label="Status"
          name="status"
          value={row.status}
          options={customerStatuses}
          save={(next) => update({ status: next })}
        />
      </div>
      <div className="counter">
        <span>
          <Icon name="phone" /> <strong data-testid="calls">{row.calls}</strong>{" "}
          {row.calls === 1 ? "call" : "calls"} logged
        </span>
        <button type="button" className="button" data-testid="log-call" onClick={() => quick({ calls: inc(1) })}>
          Log a call
        </button>
      </div>
      <Tags
        tags={row.tags}
        onAdd={(tag) => quick({ tags: add(tag) })}
        onRemove={(tag) => quick({ tags: remove(tag) })}
      />
      <Field label="Notes" name="notes" rows={5} value={row.notes} save={(notes) => update({ notes })} />
      <Proposals customerId={row.id} />
    </EntityPanel>
  );
}

function Proposals({ customerId }: { customerId: string }) {
  const { rows } = useLiveQuery(db.proposals.where({ customerId }).orderBy("$updatedAt", "desc"));
  return (
    <section className="related" aria-label="Proposals of this customer">
      <h2>{rows.length === 0 ? "No proposals" : count(rows.length, "proposal")}</h2>
      <ul>
        {rows.map((row) => (
          <li key={row.id}>
            <a href={hrefTo("proposals", row.id)}>{row.title}</a>
            <span>{formatMoney(row.amount)}</span>
            <Chip tone={proposalTone[row.status]}>{capital(row.status)}</Chip>
          </li>
        ))}
      </ul>
    </section>
  );
}
