/** A form for a new entity: shows the error of each field, and a general one when no field is at fault. */
import { useId, useState, type FormEvent, type ReactNode } from "react";
import { explain } from "../lib/errors.ts";
import type { PageName } from "../lib/route.ts";
import { hrefTo } from "../lib/route.ts";

interface Props {
  page: PageName;
  submitLabel: string;
  onSubmit(): PromiseLike<void>;
  fields(errorOf: (path: string) => string | undefined): ReactNode;
}

export function NewForm({ page, submitLabel, onSubmit, fields }: Props) {
  const [error, setError] = useState<{ path: string | undefined; text: string } | undefined>(undefined);
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    try {
      await onSubmit();
    } catch (reason) {
      const { path, text } = explain(reason);
      setError({ path, text });
    } finally {
      setBusy(false);
    }
  }

  return (
    <form className="new-form" onSubmit={(event) => void submit(event)} noValidate>
      {fields((path) => (error?.path === path ? error.text : undefined))}
      {error && !error.path && (
        <p className="note" data-tone="bad" role="alert">
          {error.text}
        </p>
      )}
      <div className="form-actions">
        <button type="submit" className="button primary" disabled={busy} data-testid="create">
          {submitLabel}
        </button>
        <a className="button" href={hrefTo(page)}>
          Cancel
        </a>
      </div>
    </form>
  );
}

interface InputProps {
  label: string;
  name: string;
  value: string;
  onChange(text: string): void;
  error?: string | undefined;
  autoFocus?: boolean;
  inputMode?: "decimal" | "email";
}

export function FormInput({ label, name, value, onChange, error, autoFocus, inputMode }: InputProps) {
  const id = useId();
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
        onChange={(event) => onChange(event.target.value)}
      />
      <p className="field-note" id={`${id}-note`} aria-live="polite">
        {error}
      </p>
    </div>
  );
}
