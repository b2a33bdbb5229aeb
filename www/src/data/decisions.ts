/** What was decided on this page since it opened: each decision can be undone, the last one by a key. */
import type { Write } from "tidewire";
import { createStore } from "../lib/store.ts";
import { dismissToast, showError, showToast } from "../lib/toasts.ts";
import type { Conflict } from "tidewire";

/** One conflict, decided; several of one decision are undone together, or one by one. */
export interface Decision {
  readonly number: number;
  /** Such as "Kept mine: Harbour signage". */
  readonly text: string;
  readonly conflict: Conflict;
  readonly write: Write;
}

interface Options {
  /** Runs after an undo: leads back to what is open again. */
  undone?(): void;
}

const keptMax = 500;
let lastNumber = 0;
let lastToast: number | undefined;

export const decisions = createStore<readonly Decision[]>([]);

/** Makes one write for each conflict, offers to undo them together, and resolves when they are stored. */
export async function decide(
  text: string,
  conflicts: readonly Conflict[],
  write: (conflict: Conflict) => Write,
  { undone }: Options = {},
): Promise<void> {
  const number = (lastNumber += 1);
  const made = conflicts.map((conflict) => ({ number, text, conflict, write: write(conflict) }));
  await Promise.all(made.map((decision) => decision.write));
  decisions.set((now) => [...now, ...made].slice(-keptMax));
  const run = () => {
    undo(made);
    undone?.();
  };
  lastToast = showToast(`${text}.`, { durationMs: 12_000, action: { label: "Undo", run } });
}

/** What of it was undone before stays so. */
export function undo(made: readonly Decision[]): void {
  const standing = made.filter((decision) => decisions.get().includes(decision));
  const [first] = standing;
  if (!first) return;
  decisions.set((now) => now.filter((other) => !standing.includes(other)));
  if (lastToast !== undefined) dismissToast(lastToast);
  for (const { write } of standing) {
    write.undo().then(undefined, (error: unknown) => showError("This could not be undone.", error));
  }
  showToast(`Undone: ${first.text}.`);
}

/** Returns what was undone: all that was decided together. */
export function undoLast(): readonly Decision[] {
  const number = decisions.get().at(-1)?.number;
  const last = decisions.get().filter((decision) => decision.number === number);
  if (last.length > 0) undo(last);
  else showToast("There is nothing to undo.");
  return last;
}

/** The decision of this page that closed a conflict. */
export function decisionOf(conflict: Conflict, made: readonly Decision[]): Decision | undefined {
  const names = new Set(conflict.fields.map((field) => field.conflict));
  return made.findLast((decision) => decision.conflict.fields.some((field) => names.has(field.conflict)));
}
