/**
 * Conflicts: values that met concurrent ones. Those that are open wait for this user's decision and are shown on every
 * device of theirs; those that lost, or were decided, can be read and put back for 30 days.
 *
 * Here is the face; what stands behind it (`conflict-book.ts`) is loaded when somebody first looks at them.
 */
import type { ConflictBook } from "./conflict-book.js";
import { toTidewireError } from "./errors.js";
import type { IntentTarget } from "./intents.js";
import type { Json } from "./json.js";
import type { Live } from "./live.js";
import type { AnyRow } from "./rows.js";
import type { Session } from "./session.js";
import type { WireOp } from "./wasm/wire.js";
import type { Request } from "./writes.js";
import { startWrite, type Write } from "./write.js";

/** One field that met a concurrent write. A value that is left out says that the field was absent there. */
export interface ConflictField {
  /** Names it. */
  readonly conflict: string;
  /** JSON Pointer of the field. */
  readonly path: string;
  /** What both authors had seen. */
  readonly base?: Json;
  /** This user's value. */
  readonly mine?: Json;
  /** What stands against it: now, where the conflict is open; else what stood when it was decided. */
  readonly theirs?: Json;
  /** The replica that wrote what stood against it. */
  readonly by?: string;
  /** When the server found it, in milliseconds. */
  readonly at: number;
  /** How often a decision met yet another concurrent write. */
  readonly rounds: number;
}

/** The fields of one entity that wait for a decision, or that lost at the same moment. */
export interface Conflict {
  /** Names it among all conflicts of the database. */
  readonly key: string;
  readonly collection: string;
  /** The id of the entity. */
  readonly id: string;
  /** `open`: waits for a decision. `lost`: the strategy decided against it. `closed`: decided, or put back. */
  readonly state: "open" | "lost" | "closed";
  /** When the newest of it was found, in milliseconds. */
  readonly at: number;
  readonly fields: readonly ConflictField[];
  /** The row now, as this device shows it. */
  readonly mine: AnyRow | undefined;
  /** The row now as the server has it, with this device's other edits on it. */
  readonly theirs: AnyRow | undefined;
  /**
   * Decides. An object is the whole row as it shall be: only where it differs from `theirs` is something written.
   * `paths` (JSON Pointers) decides only these fields, and the rest stays open.
   */
  keep(choice: KeepChoice, options?: KeepOptions): Write;
  /** Puts the value that lost back: `keep("mine")` of a conflict in state `lost`. */
  restore(): Write;
}

/** What becomes of a conflict. */
export type KeepChoice = "mine" | "theirs" | object;

/** Which fields of a conflict are decided. */
export interface KeepOptions {
  /** JSON Pointers; all fields if left out. */
  readonly paths?: readonly string[];
}

/** `db.sync.conflicts`: all of them live, and what can be done about them. */
export interface Conflicts extends Live<readonly Conflict[]> {
  /** Those that wait for a decision, newest first. */
  readonly list: Live<readonly Conflict[]>;
  /** What lost and what was decided, newest first. */
  readonly history: Live<readonly Conflict[]>;
  /** As {@link Conflict.keep}, by key. */
  keep(key: string, choice: KeepChoice, options?: KeepOptions): Write;
  /** As {@link Conflict.restore}, by key. */
  restore(key: string): Write;
}

/** The conflicts of a session, loaded when they are asked for. */
export class LazyConflicts {
  #book: ConflictBook | undefined;
  #loading: Promise<ConflictBook> | undefined;

  /** `target` is `undefined` for a collection that the database does not declare. */
  constructor(
    private readonly session: Session,
    private readonly target: (collection: string) => IntentTarget | undefined,
  ) {}

  load(): Promise<ConflictBook> {
    this.#loading ??= import("./conflict-book.js")
      .then((module) => (this.#book = new module.ConflictBook(this.session, this.target)))
      .catch((error: unknown) => {
        this.#loading = undefined;
        throw toTidewireError(error);
      });
    return this.#loading;
  }

  /** A live value of the book, not known before it is loaded. */
  live(of: (book: ConflictBook) => Live<readonly Conflict[]>): Live<readonly Conflict[]> {
    return {
      peek: () => {
        if (this.#book !== undefined) return of(this.#book).peek();
        this.load().catch(() => undefined);
        return undefined;
      },
      get: async (options) => of(await this.load()).get(options),
      subscribe: (fn, options) => {
        if (this.#book !== undefined) return of(this.#book).subscribe(fn, options);
        let stop: (() => void) | undefined = () => undefined;
        const begin = (book: ConflictBook): void => void (stop &&= of(book).subscribe(fn, options));
        this.load().then(begin, options?.onError);
        return () => (stop = void stop?.());
      },
    };
  }

  /** The public face. */
  face(): Conflicts {
    const keep = (key: string, choice: KeepChoice, options?: KeepOptions): Write => {
      const loading = this.load();
      const op = (): WireOp => (this.#book as ConflictBook).decision(key, choice, options);
      const make = (): Request => ({ ops: [op()], atomic: false });
      return startWrite(this.session, key.slice(key.indexOf("/") + 1), make, () => undefined, loading);
    };
    return Object.freeze({
      ...this.live((book) => book.all),
      list: this.live((book) => book.open),
      history: this.live((book) => book.over),
      keep,
      restore: (key: string) => keep(key, "mine"),
    });
  }
}
