/** The queue as the page shows it: what waits, what failed, and what an entry wants to write. */
import type { Json, QueueEntry } from "tidewire";
import { count, formatNumber } from "../lib/format.ts";

export type { QueueEntry };

const verbs: Record<string, string> = { insert: "New", patch: "Edit", replace: "Edit", delete: "Delete" };

/** Stable while the entry is in the queue; one that is being written has no name yet. */
export function entryKey(entry: QueueEntry): string {
  return entry.n ? entry.n.join(".") : `new ${entry.collection} ${entry.id} ${entry.at}`;
}

/** What it does and to what; `name` is how the entity is called, where that is known. */
export function entryTitle(entry: QueueEntry, name: string | undefined): string {
  const verb = verbs[entry.kind] ?? entry.kind;
  return name ? `${verb}: ${name}` : `${verb} in ${entry.collection}`;
}

/** The values that an entry sets, by field, as a person would edit them. */
export function entryValues(entry: QueueEntry): Record<string, Json> {
  const values: Record<string, Json> = {};
  for (const [pointer, value] of Object.entries(entry.set ?? {})) values[toField(pointer)] = value;
  return values;
}

/** How many changes wait and how many were refused. */
export function queueSummary(waiting: number, failed: number): string {
  const parts = [waiting > 0 && `${count(waiting, "change")} waiting`, failed > 0 && `${formatNumber(failed)} refused`];
  return parts.filter(Boolean).join(", ") || "Nothing waits";
}

/** One line that says what an entry does. */
export function entryWords(entry: QueueEntry): string {
  if (entry.kind === "delete") return "Removes the entry";
  // A new entry sets every field; only those that say something are worth a line.
  const set = Object.entries(entry.set ?? {}).filter(([, value]) => entry.kind !== "insert" || !isBlank(value));
  const parts = [
    ...set.map(([pointer, value]) => `${toField(pointer)}: ${short(value)}`),
    ...Object.entries(entry.inc ?? {}).map(
      ([pointer, by]) => `${toField(pointer)} ${by < 0 ? "−" : "+"}${Math.abs(by)}`,
    ),
    ...Object.entries(entry.add ?? {}).map(([pointer, values]) => `${toField(pointer)} + ${short(values)}`),
    ...Object.entries(entry.remove ?? {}).map(([pointer, values]) => `${toField(pointer)} − ${short(values)}`),
    ...(entry.unset ?? []).map((pointer) => `${toField(pointer)} removed`),
  ];
  return parts.join(" · ") || "Writes the entry";
}

function toField(pointer: string): string {
  return (
    pointer.replace(/^\//, "").replaceAll("/", ".").replaceAll("~1", "/").replaceAll("~0", "~") || "everything"
  );
}

function isBlank(value: Json): boolean {
  return value === "" || value === null || (Array.isArray(value) && value.length === 0);
}

function short(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text || "(empty)";
}
