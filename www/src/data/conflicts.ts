/** The conflicts of this person: live, by entity, and in words. */
import { useMemo } from "react";
import { useLiveQuery } from "tidewire/react";
import type { Conflict, ConflictField, Json } from "tidewire";
import { formatTime } from "../lib/format.ts";
import { hrefTo } from "../lib/route.ts";
import { useLive } from "../lib/use-live.ts";
import { db } from "./db.ts";
import { entityName } from "./entity-name.ts";
import { fieldKind, fieldLabel, valueWords, type FieldKind } from "./field-kinds.ts";

export type { Conflict, ConflictField };

/** `waiting`: for a decision. `settled`: by a rule or by a person, the newest first. */
export type Part = "waiting" | "settled";

export function useConflicts(part: Part): readonly Conflict[] | undefined {
  return useLive(part === "waiting" ? db.sync.conflicts.list : db.sync.conflicts.history);
}

/** Whether this device has read everything once: before that, no conflicts may mean that none is known yet. */
export function useLoadStatus(): string {
  return useLiveQuery(db.proposals.where({}).limit(1)).status;
}

/** The open conflict of an entity. */
export function useConflictOf(collection: string, id: string): Conflict | undefined {
  const open = useConflicts("waiting");
  return useMemo(
    () => open?.find((conflict) => conflict.collection === collection && conflict.id === id),
    [open, collection, id],
  );
}

export function conflictHref({ key, state }: Conflict): string {
  return hrefTo(state === "open" ? "conflicts" : "settled", key);
}

export function conflictTitle({ collection, id, mine, theirs }: Conflict): string {
  return entityName(collection, id, mine ?? theirs) ?? `Deleted entry of ${collection}`;
}

/** What is decided, or gone, cannot be decided together with others. */
export function isChoosable({ state, mine }: Conflict): boolean {
  return state === "open" || (state === "lost" && mine !== undefined);
}

/** How one field of a conflict is shown. */
export function kindOf(conflict: Conflict, { path, base, mine, theirs }: ConflictField): FieldKind {
  return fieldKind(conflict.collection, path, [base, mine, theirs]);
}

/** A value as people name it: a customer by name, not by id. */
export function wordsOf(kind: FieldKind, value: Json | undefined): string {
  const collection = kind.kind === "text" ? kind.id : undefined;
  const name = collection && typeof value === "string" ? entityName(collection, value) : undefined;
  return name ?? valueWords(kind, value);
}

/** One line: what stands against what. */
export function conflictWords(conflict: Conflict): string {
  return conflict.fields
    .map((field) => {
      const words = (value: Json | undefined) => short(wordsOf(kindOf(conflict, field), value));
      return `${fieldLabel(field.path)}: ${words(field.mine)} or ${words(field.theirs)}`;
    })
    .join(" · ");
}

/** Who wrote the other value, and when that was found. Devices have no names here, only numbers. */
export function writerWords({ by, at }: ConflictField): string {
  return `${by ? `Device ${by.slice(-4)}` : "Another device"}, ${formatTime(at)}`;
}

function short(text: string): string {
  return text.length > 28 ? `${text.slice(0, 27)}…` : text;
}
