/** Labelled fields that write themselves. Enter stores, Escape goes back to what is stored. */
import { useId, type KeyboardEvent, type ReactNode } from "react";
import { capital } from "../lib/format.ts";
import { useField, type FieldState } from "./use-field.ts";

interface FieldProps {
  label: string;
  name: string;
  value: string;
  save: (text: string) => PromiseLike<unknown>;
  type?: "text" | "email" | "tel" | "number";
  rows?: number;
  placeholder?: string;
  /** Takes the whole line. */
  wide?: boolean;
}

export function Field(props: FieldProps) {
  const { label, name, value, save, type = "text", rows, placeholder, wide } = props;
  const field = useField(value, save);
  const id = useId();
  const shared = {
    id,
    name,
    value: field.text,
    placeholder,
    autoComplete: "off",
    "aria-invalid": field.error ? true : undefined,
    "aria-describedby": `${id}-note`,
    "data-testid": `field-${name}`,
    onBlur: field.flush,
  } as const;
  return (
    <FieldFrame id={id} label={label} field={field} wide={wide}>
      {rows ? (
        <textarea
          {...shared}
          rows={rows}
          onChange={(event) => field.setText(event.target.value)}
          onKeyDown={onKey(field, false)}
        />
      ) : (
        <input
          {...shared}
          type={type === "number" ? "text" : type}
          inputMode={type === "number" ? "decimal" : undefined}
          onChange={(event) => field.setText(event.target.value)}
          onKeyDown={onKey(field, true)}
        />
      )}
    </FieldFrame>
  );
}

interface ChoiceProps<T extends string> {
  label: string;
  name: string;
  value: T;
  options: readonly T[];
  save: (value: T) => PromiseLike<unknown>;
}

export function Choice<T extends string>({ label, name, value, options, save }: ChoiceProps<T>) {
  const field = useField(value, (text) => save(text as T));
  const id = useId();
  return (
    <FieldFrame id={id} label={label} field={field}>
      <select
        id={id}
        name={name}
        value={field.text}
        aria-describedby={`${id}-note`}
        data-testid={`field-${name}`}
        onChange={(event) => {
          field.setText(event.target.value);
          field.flush();
        }}
      >
        {options.map((option) => (
          <option key={option} value={option}>
            {capital(option)}
          </option>
        ))}
      </select>
    </FieldFrame>
  );
}

interface FrameProps {
  id: string;
  label: string;
  field: FieldState;
  wide?: boolean | undefined;
  children: ReactNode;
}

function FieldFrame({ id, label, field, wide, children }: FrameProps) {
  return (
    <div className={wide ? "field wide" : "field"} data-invalid={field.error ? true : undefined}>
      <div className="field-head">
        <label htmlFor={id}>{label}</label>
        <span className="field-saved" aria-hidden="true">
          {field.saved && !field.error ? "Saved" : ""}
        </span>
      </div>
      {children}
      <p className="field-note" id={`${id}-note`} aria-live="polite">
        {field.error}
      </p>
    </div>
  );
}

function onKey(field: FieldState, enterStores: boolean) {
  return (event: KeyboardEvent) => {
    if (event.key === "Enter" && enterStores) field.flush();
    if (event.key === "Escape") {
      // The panel closes on Escape too; here the key belongs to the field.
      event.stopPropagation();
      field.revert();
    }
  };
}
