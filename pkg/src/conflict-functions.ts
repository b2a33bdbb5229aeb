/**
 * Conflict functions: the app decides about the conflicts of a collection by itself, on the device that made the edit
 * and in the tab that leads. Loaded only where a collection has such a function.
 *
 * Invariant: a function is asked once about one state of a conflict, so its own decision cannot make it run for ever;
 * and after some rounds against the same rival it is left to the person (rule 18).
 */
import { asTheirs, put, type ConflictBook, type OwnField } from "./conflict-book.js";
import type { Conflict } from "./conflicts.js";
import { TidewireError } from "./errors.js";
import { deepFreeze, type JsonObject } from "./json.js";
import { overlaps, toPointer } from "./path.js";
import type { CollectionParts } from "./options.js";
import { entityOf } from "./rows.js";
import { isPromise } from "./schema.js";
import type { Session } from "./session.js";
import type { ConflictFunction } from "./types.js";

/** A conflict that comes back so often after its function decided waits for a person. */
const ROUNDS_MAX = 5;

/** Calls the functions of a database's collections from now on. */
export function decide(
  session: Session,
  book: ConflictBook,
  parts: () => ReadonlyMap<string, CollectionParts>,
): void {
  const decider = new Decider(session, book, parts);
  const look = (): void => decider.look();
  session.status.watch(look, "sync");
  book.source().watch(look, "sync");
}

class Decider {
  readonly #asked = new Set<string>();
  #due = false;

  constructor(
    private readonly session: Session,
    private readonly book: ConflictBook,
    private readonly parts: () => ReadonlyMap<string, CollectionParts>,
  ) {}

  /** Not at once: this is called in the middle of telling everybody what changed. */
  look(): void {
    if (this.#due) return;
    this.#due = true;
    queueMicrotask(() => {
      this.#due = false;
      if (!this.session.ready || this.session.status.snapshot()?.leader !== true) return;
      for (const conflict of this.book.source().snapshot() ?? []) this.#decide(conflict);
    });
  }

  #decide(conflict: Conflict): void {
    const options = this.parts().get(conflict.collection)?.options;
    if (conflict.state !== "open" || typeof options?.conflict !== "function") return;
    const forPerson = Object.entries(options.fields ?? {}).filter(([, strategy]) => strategy === "manual");
    const isAsked = ({ own, path, rounds }: OwnField): boolean =>
      own && rounds < ROUNDS_MAX && !forPerson.some(([field]) => overlaps(toPointer(field), path));
    const fields = (conflict.fields as readonly OwnField[]).filter(isAsked);
    const state = JSON.stringify(fields.map(({ conflict: name, rounds, theirs }) => [name, rounds, theirs]));
    if (fields.length === 0 || conflict.mine === undefined || this.#asked.has(state)) return;
    this.#asked.add(state);
    const report = (error: unknown): void => this.#report(conflict.collection, error);
    try {
      const row = answerOf(options.conflict, entityOf(conflict.mine), fields);
      if (row !== "ask") this.book.take(conflict, fields, row).catch(report);
    } catch (error) {
      report(error);
    }
  }

  #report(collection: string, error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    const message = `The conflict function of "${collection}" gave no row; the conflict stays open. ${why}`;
    this.session.events.emit("watchdog", { code: "conflict-function", message });
  }
}

function answerOf(decide: ConflictFunction<never>, mine: JsonObject, fields: readonly OwnField[]): unknown {
  const theirs = asTheirs(mine, fields);
  const base = fields.reduce((before, field) => put(before, field.path, field.base), theirs);
  const names = fields.map(({ path }) => path);
  const answer: unknown = decide(deepFreeze({ base, mine, theirs, fields: names }) as never);
  if (!isPromise(answer)) return answer;
  void Promise.resolve(answer).catch(() => undefined);
  throw new TidewireError("conflict-function", "It must be synchronous.");
}
