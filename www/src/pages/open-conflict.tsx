/** A conflict that waits: a choice for each field, the record that follows, and the ways to keep it. */
import { useRef, useState, type KeyboardEvent } from "react";
import { flushSync } from "react-dom";
import { choiceOf } from "../data/conflict-choices.ts";
import { conflictTitle, type Conflict, type ConflictField } from "../data/conflicts.ts";
import { capital, count } from "../lib/format.ts";
import { isTyping, plainKey } from "../lib/keys.ts";
import { hrefTo, type PageName } from "../lib/route.ts";
import { MergePreview } from "../ui/merge-preview.tsx";
import { Panel } from "../ui/panel.tsx";
import { SendsLater } from "../ui/sends-later.tsx";
import { FieldChoice, startEdit } from "./conflict-field.tsx";
import { useDecision, type Decision } from "./use-decision.ts";

interface Props {
  conflict: Conflict;
  /** Runs while a decision is being stored, and goes on to the next conflict when it is. */
  whileDeciding(stored: Promise<void>): Promise<void>;
}

export function OpenConflict({ conflict, whileDeciding }: Props) {
  const decision = useDecision(conflict, whileDeciding);
  const { choices, record, error, choose, keep } = decision;
  const { keys, current, setCurrent } = useFieldKeys(conflict, decision);
  return (
    <div className="panel-keys" {...keys}>
      <Panel
        page="conflicts"
        title={conflictTitle(conflict)}
        sync="conflict"
        note={<SendsLater what="Your decision" />}
        footer={<KeepButtons keep={keep} />}
      >
        <p className="hint conflict-about">
          {capital(conflict.collection)} · {count(conflict.fields.length, "field")} changed by two people
          <a href={hrefTo(conflict.collection as PageName, conflict.id)} data-testid="open-record">
            Open the record
          </a>
        </p>
        {conflict.fields.map((field, index) => (
          <FieldChoice
            key={field.path}
            conflict={conflict}
            field={field}
            choice={choiceOf(choices, field.path)}
            current={index === current}
            error={error?.path === field.path ? error.text : undefined}
            onChoose={(choice) => choose(field.path, choice)}
            onFocus={() => setCurrent(index)}
          />
        ))}
        <MergePreview conflict={conflict} choices={choices} record={record} />
        <p className="hint keys wide-only">
          <kbd>J</kbd> <kbd>K</kbd> field · <kbd>M</kbd> mine · <kbd>T</kbd> theirs · <kbd>E</kbd> edit ·{" "}
          <kbd>Enter</kbd> keep this merge · <kbd>Z</kbd> undo · <kbd>Esc</kbd> back
        </p>
      </Panel>
    </div>
  );
}

function KeepButtons({ keep }: Pick<Decision, "keep">) {
  return (
    <div className="keep-buttons">
      <button type="button" className="button" data-testid="keep-mine" onClick={() => keep("mine")}>
        Keep mine
      </button>
      <button type="button" className="button" data-testid="keep-theirs" onClick={() => keep("theirs")}>
        Keep theirs
      </button>
      <button type="button" className="button primary" data-testid="keep-merge" onClick={() => keep("merge")}>
        Keep this merge
      </button>
    </div>
  );
}

const checked = "input[type=radio]:checked";
const editor = ".conflict-editor :is(input, textarea, select)";

/** The keys of a conflict: J and K walk over its fields, M, T and E choose, Enter keeps the merge. */
function useFieldKeys(conflict: Conflict, { choices, choose, keep }: Decision) {
  const [current, setCurrent] = useState(0);
  const box = useRef<HTMLDivElement>(null);

  /** Screen readers say what gets the focus. */
  function focusField(index: number, what: string): void {
    const field = box.current?.querySelectorAll<HTMLElement>("[data-testid=conflict-field]")[index];
    field?.querySelector<HTMLElement>(what)?.focus();
    field?.scrollIntoView({ block: "nearest" });
  }

  function chooseByKey(field: ConflictField, key: "m" | "t" | "e"): void {
    const now = choiceOf(choices, field.path);
    // What is to have the focus has to be there now: at the next drawing another key may have led elsewhere.
    flushSync(() => {
      if (key !== "e") choose(field.path, { from: key === "m" ? "mine" : "theirs" });
      else if (now.from !== "edit") choose(field.path, startEdit(field, now));
    });
    focusField(current, key === "e" ? editor : checked);
  }

  function onKeyDown(event: KeyboardEvent): void {
    const key = event.key === "Enter" ? "enter" : isTyping(event) ? undefined : plainKey(event);
    const field = conflict.fields[current];
    if (key === "enter") {
      if ((event.target as HTMLElement).closest("a, button, select, .tags")) return;
      keep("merge");
    } else if (key === "j" || key === "k") {
      const next = key === "j" ? current + 1 : current - 1;
      focusField(Math.max(0, Math.min(conflict.fields.length - 1, next)), checked);
    } else if (field && (key === "m" || key === "t" || key === "e")) {
      chooseByKey(field, key);
    } else return;
    event.preventDefault();
  }

  return { keys: { ref: box, onKeyDown }, current, setCurrent };
}
