/** Edits one value in the way of its kind: text, number, one of some words, tags, or JSON where nothing is known. */
import { useState, type KeyboardEvent } from "react";
import type { Json } from "tidewire";
import type { FieldKind } from "../data/field-kinds.ts";
import { capital } from "../lib/format.ts";
import { parseAmount } from "../pages/new-proposal.tsx";
import { Tags } from "./tags.tsx";

interface Props {
  kind: FieldKind;
  label: string;
  value: Json | undefined;
  /** `problem`: what is typed is no value; the last value stands. */
  onChange(value: Json | undefined, problem?: string): void;
  problem: string | undefined;
  testId: string;
}

export function ValueEditor(props: Props) {
  const { kind, label, value, onChange, problem, testId } = props;
  if (kind.kind === "tags") {
    const tags = Array.isArray(value) ? value.map(String) : [];
    return (
      <Tags
        label={`${label}, edited`}
        tags={tags}
        onAdd={(tag) => onChange([...tags, tag])}
        onRemove={(tag) => onChange(tags.filter((other) => other !== tag))}
      />
    );
  }
  if (kind.kind === "choice") {
    return (
      <select
        aria-label={`${label}, edited`}
        value={String(value ?? "")}
        data-testid={testId}
        autoFocus
        onChange={(event) => onChange(event.target.value)}
      >
        {kind.options.map((option) => (
          <option key={option} value={option}>
            {capital(option)}
          </option>
        ))}
      </select>
    );
  }
  return <TextEditor {...props} problem={problem} />;
}

/** What is typed is kept as typed; the value follows from it. */
function TextEditor({ kind, label, value, onChange, problem, testId }: Props) {
  const [text, setText] = useState(() => textOf(kind, value));
  const noteId = `${testId}-note`;
  const shared = {
    "aria-label": `${label}, edited`,
    "aria-invalid": problem ? true : undefined,
    "aria-describedby": noteId,
    "data-testid": testId,
    autoComplete: "off",
    autoFocus: true,
    value: text,
    onChange: (event: { target: { value: string } }) => {
      setText(event.target.value);
      try {
        onChange(valueOf(kind, event.target.value));
      } catch (error) {
        onChange(value, (error as Error).message);
      }
    },
  } as const;
  const long = kind.kind === "json" || (kind.kind === "text" && kind.long);
  return (
    <div className="field" data-invalid={problem ? true : undefined}>
      {long ? (
        <textarea
          {...shared}
          className={kind.kind === "json" ? "code" : undefined}
          rows={Math.min(12, Math.max(3, text.split("\n").length + 1))}
          spellCheck={kind.kind !== "json"}
          onKeyDown={keepEnter}
        />
      ) : (
        <input {...shared} type="text" inputMode={kind.kind === "number" ? "decimal" : undefined} />
      )}
      <p className="field-note" id={noteId} aria-live="polite">
        {problem}
      </p>
    </div>
  );
}

/** Enter is a new line here; with Ctrl it keeps the merge, as it does elsewhere. */
function keepEnter(event: KeyboardEvent): void {
  if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) event.stopPropagation();
}

function textOf(kind: FieldKind, value: Json | undefined): string {
  if (value === undefined || value === null) return "";
  return kind.kind === "json" ? JSON.stringify(value, null, 2) : String(value);
}

function valueOf(kind: FieldKind, text: string): Json {
  if (kind.kind === "number") return parseAmount(text);
  if (kind.kind === "text") return text;
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw new Error("This is not valid JSON yet.");
  }
}
