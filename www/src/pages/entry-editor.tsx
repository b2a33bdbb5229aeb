/** Repairs a refused change: its values as JSON. Only what differs is written; the change is then sent again. */
import { useId, useState } from "react";
import type { Json } from "tidewire";
import { db } from "../data/db.ts";
import { entryValues, type QueueEntry } from "../data/queue.ts";
import { explain } from "../lib/errors.ts";
import { showToast } from "../lib/toasts.ts";

interface Props {
  entry: QueueEntry;
  onClose(): void;
}

export function EntryEditor({ entry, onClose }: Props) {
  const before = entryValues(entry);
  const [text, setText] = useState(() => JSON.stringify(before, null, 2));
  const [error, setError] = useState<string | undefined>(undefined);
  const id = useId();

  async function save(): Promise<void> {
    try {
      const patch = changedValues(before, parseObject(text));
      if (entry.n) await db.sync.queue.edit(entry.n, patch);
      showToast("Repaired and sent again.");
      onClose();
    } catch (reason) {
      setError(explain(reason).text);
    }
  }

  return (
    <div className="field" data-invalid={error ? true : undefined}>
      <div className="field-head">
        <label htmlFor={id}>Values as JSON</label>
      </div>
      <textarea
        id={id}
        className="code"
        rows={Math.min(14, text.split("\n").length + 1)}
        spellCheck={false}
        value={text}
        aria-describedby={`${id}-note`}
        data-testid="queue-json"
        onChange={(event) => setText(event.target.value)}
      />
      <p className="field-note" id={`${id}-note`} aria-live="polite">
        {error}
      </p>
      <div className="entry-actions">
        <button type="button" className="button primary" data-testid="queue-save" onClick={() => void save()}>
          Save and send again
        </button>
        <button type="button" className="button" onClick={onClose}>
          Cancel
        </button>
      </div>
    </div>
  );
}

function parseObject(text: string): Record<string, Json> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`This is not valid JSON: ${(error as Error).message}.`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Error("Write an object: { … }.");
  return value as Record<string, Json>;
}

/** What was changed or added; a field taken out of the text is removed from the change. */
function changedValues(
  before: Record<string, Json>,
  after: Record<string, Json>,
): Record<string, Json | undefined> {
  const patch: Record<string, Json | undefined> = {};
  for (const [key, value] of Object.entries(after)) {
    if (JSON.stringify(value) !== JSON.stringify(before[key])) patch[key] = value;
  }
  for (const key of Object.keys(before)) {
    if (!(key in after)) patch[key] = undefined;
  }
  return patch;
}
