/** The conflicts that an entity has had, beside the entity itself. Nothing where there were none. */
import { useMemo } from "react";
import { conflictHref, conflictWords } from "../data/conflicts.ts";
import { db } from "../data/db.ts";
import type { CollectionName } from "../data/schema.ts";
import { formatTime } from "../lib/format.ts";
import { useLive } from "../lib/use-live.ts";
import { Chip } from "./marks.tsx";

const stateWords = { open: "Waits for you", lost: "Overwritten", closed: "Decided" } as const;
const tones = { open: "red", lost: "blue", closed: "gray" } as const;

export function ConflictHistory({ collection, id }: { collection: CollectionName; id: string }) {
  const live = useMemo(() => db[collection].history(id), [collection, id]);
  const conflicts = useLive(live) ?? [];
  if (conflicts.length === 0) return null;
  return (
    <section className="related" aria-label="Conflicts of this entry" data-testid="conflict-history">
      <h2>Conflicts</h2>
      <ul>
        {conflicts.map((conflict) => (
          <li key={conflict.key}>
            <a href={conflictHref(conflict)}>
              {conflictWords(conflict)} <small>{formatTime(conflict.at)}</small>
            </a>
            <Chip tone={tones[conflict.state]}>{stateWords[conflict.state]}</Chip>
          </li>
        ))}
      </ul>
    </section>
  );
}
