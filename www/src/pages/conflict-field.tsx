/** One field in conflict: what it was, mine and theirs beside it, and the choice between them or something else. */
import { useId, type KeyboardEvent } from "react";
import type { Json } from "tidewire";
import { chosenValue, type Choice } from "../data/conflict-choices.ts";
import { kindOf, writerWords, type Conflict, type ConflictField } from "../data/conflicts.ts";
import { fieldLabel, type FieldKind } from "../data/field-kinds.ts";
import { ValueEditor } from "../ui/value-editor.tsx";
import { ValueView } from "../ui/value-view.tsx";

interface Props {
  conflict: Conflict;
  field: ConflictField;
  choice: Choice;
  current: boolean;
  /** What the database says of the value that was chosen. */
  error: string | undefined;
  onChoose(choice: Choice): void;
  onFocus(): void;
}

export function FieldChoice({ conflict, field, choice, current, error, onChoose, onFocus }: Props) {
  const kind = kindOf(conflict, field);
  const label = fieldLabel(field.path);
  const group = useId();
  const option = (from: Choice["from"]) => ({
    name: group,
    from,
    chosen: choice.from === from,
    onChoose: () => onChoose(from === "edit" ? startEdit(field, choice) : { from }),
  });
  const { base } = field;
  return (
    <fieldset
      className="conflict-field"
      data-testid="conflict-field"
      data-path={field.path}
      data-current={current || undefined}
      data-choice={choice.from}
      onFocus={onFocus}
    >
      <legend>{label}</legend>
      {field.rounds > 0 && (
        <p className="hint">Your last decision met another change meanwhile, so this is asked again.</p>
      )}
      <div className="versions" data-long={isLong(kind, field) || undefined}>
        <div className="version plain" data-testid="version-base">
          <span className="version-head">Before</span>
          <ValueView kind={kind} value={base} absent="Not there" />
        </div>
        <Version {...option("mine")} title="Mine" by="You">
          <ValueView kind={kind} value={field.mine} against={base ?? field.theirs} />
        </Version>
        <Version {...option("theirs")} title="Theirs" by={writerWords(field)}>
          <ValueView kind={kind} value={field.theirs} against={base ?? field.mine} />
        </Version>
      </div>
      <Version {...option("edit")} title="Something else" wide />
      {choice.from === "edit" && (
        <div className="conflict-editor" onKeyDown={leaveEditor}>
          <ValueEditor
            kind={kind}
            label={label}
            value={choice.value}
            problem={choice.problem}
            testId="conflict-editor"
            onChange={(value, problem) => onChoose({ from: "edit", value, ...(problem ? { problem } : {}) })}
          />
        </div>
      )}
      {error && (
        <p className="field-note" role="alert">
          {error}
        </p>
      )}
    </fieldset>
  );
}

interface VersionProps {
  name: string;
  from: Choice["from"];
  chosen: boolean;
  title: string;
  by?: string;
  wide?: boolean;
  children?: React.ReactNode;
  onChoose(): void;
}

const keys: Record<Choice["from"], string> = { mine: "m", theirs: "t", edit: "e" };

function Version({ name, from, chosen, title, by, wide, children, onChoose }: VersionProps) {
  return (
    <label className={wide ? "version wide" : "version"} data-chosen={chosen || undefined}>
      <span className="version-head">
        <input
          type="radio"
          name={name}
          value={from}
          checked={chosen}
          aria-keyshortcuts={keys[from]}
          data-testid={`choose-${from}`}
          onChange={onChoose}
        />
        {title}
      </span>
      {children && <span className="version-value">{children}</span>}
      {by && <small>{by}</small>}
    </label>
  );
}

/** Escape leads from the editor to the choice; from there it closes the conflict. */
function leaveEditor(event: KeyboardEvent<HTMLElement>): void {
  if (event.key !== "Escape") return;
  event.stopPropagation();
  event.currentTarget.closest("fieldset")?.querySelector<HTMLElement>("input:checked")?.focus();
}

/** Editing begins with what was chosen before. */
export function startEdit(field: ConflictField, choice: Choice): Choice {
  const value: Json | undefined = chosenValue(field, choice);
  return { from: "edit", value: value === undefined ? field.theirs ?? field.mine : value };
}

function isLong(kind: FieldKind, { base, mine, theirs }: ConflictField): boolean {
  if (kind.kind === "json") return true;
  return kind.kind === "text" && [base, mine, theirs].some((value) => typeof value === "string" && value.length > 60);
}
