/** A form for a new entity: shows the error of each field, and a general one when no field is at fault. */
import { useId, useState, type FormEvent, type ReactNode } from "react";
import type { Write } from "tidewire";
import { offerUndo } from "../data/remove.ts";
import { explain } from "../lib/errors.ts";
import { goTo, hrefTo, type PageName } from "../lib/route.ts";
import { Panel } from "./panel.tsx";

interface Props {
  page: PageName;
  /** What is made, in small letters. */
  what: string;
  /** How the new entity is called. */
  name: string;
  /** Makes it; may throw. */
  create(): Write;
  fields(errorOf: (path: string) => string | undefined): ReactNode;
}

export function NewForm({ page, what, name, create, fields }: Props) {
  const [error, setError] = useState<{ path: string | undefined; text: string } | undefined>(undefined);
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    try {
      const write = create();
      await write;
      goTo(page, write.id);
      offerUndo(`${name} added.`, write, () => goTo(page));
    } catch (reason) {
      const { path, text } = explain(reason);
      setError({ path, text });
    } finally {
      setBusy(false);
    }
  }

  return (
    <Panel page={page} title={`New ${what}`}>
      <form className="new-form" onSubmit={(event) => void submit(event)} noValidate>
        {fields((path) => (error?.path === path ? error.text : undefined))}
        {error && !error.path && (
          <p className="note" data-tone="bad" role="alert">
            {error.text}
          </p>
        )}
        <div className="form-actions">
          <button type="submit" className="button primary" disabled={busy} data-testid="create">
            Add {what}
          </button>
          <a className="button" href={hrefTo(page)}>
            Cancel
          </a>
        </div>
      </form>
    </Panel>
  );
}

interface InputProps {
  label: string;
  name: string;
  /** What `useState("")` gave. */
  text: readonly [value: string, change: (text: string) => void];
  errorOf(path: string): string | undefined;
  autoFocus?: boolean;
  inputMode?: "decimal" | "email";
}

export function FormInput({ label, name, text, errorOf, autoFocus, inputMode }: InputProps) {
  const id = useId();
  const [value, change] = text;
  const error = errorOf(name);
  return (
    <div className="field" data-invalid={error ? true : undefined}>
      <div className="field-head">
        <label htmlFor={id}>{label}</label>
      </div>
      <input
        id={id}
        name={name}
        value={value}
        autoComplete="off"
        autoFocus={autoFocus}
        inputMode={inputMode}
        aria-invalid={error ? true : undefined}
        aria-describedby={`${id}-note`}
        data-testid={`field-${name}`}
        onChange={(event) => change(event.target.value)}
      />
      <p className="field-note" id={`${id}-note`} aria-live="polite">
        {error}
      </p>
    </div>
  );
}
