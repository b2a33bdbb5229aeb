/** Events: what happened, for those who want to know as it happens. State belongs to the live values, not here. */
import { guarded } from "./errors.js";
import type { Json } from "./json.js";
import type { EarlyEvent, MutationName, WireError } from "./wasm/wire.js";

/** A value that lost against another. `path` is a JSON Pointer. */
export interface Overwritten {
  readonly path: string;
  readonly yours?: Json;
  readonly kept?: Json;
  /** The replica that wrote the value which stands. */
  readonly by?: string;
}

/** The events of a database, by name. */
export interface DbEvents {
  /** Values of this user met concurrent ones. */
  conflict: {
    readonly collection: string;
    readonly id: string;
    /** Those that lost; `db.sync.conflicts.history` has them, and can put them back. */
    readonly overwritten?: readonly Overwritten[];
    /** JSON Pointers of the fields that wait for a decision in `db.sync.conflicts.list`. */
    readonly open?: readonly string[];
  };
  /** What was inserted as `from` turned out to be an entity that was there: it is `to` now, and `from` stays good. */
  remap: { readonly collection: string; readonly from: string; readonly to: string };
  /** The server refused a write; it waits in `db.sync.queue.failed`. */
  rejected: { readonly n: MutationName; readonly collection: string; readonly id: string; readonly error: WireError };
  /** The server asked for everything to be read again. Nothing unsent is lost. */
  reset: object;
  /** The device's storage is full. */
  quota: object;
  progress: { readonly phase: "pull" | "push"; readonly done: number; readonly total: number };
  /** Where data is kept now. `memory`: it does not survive a reload. */
  storage: { readonly storage: "indexeddb" | "memory"; readonly code?: string };
  /** This release is too old or too new for its server or its stored data: reload. */
  upgrade: object;
  /** Something was wrong inside, and was mended. */
  watchdog: {
    /** Of `docs/ERRORS.md`: `stalled-queue`, `stalled-leader`, `diverged`, and others. */
    readonly code: string;
    readonly message?: string;
    readonly collection?: string;
    /** How old the oldest edit is, or how long the leader was silent. */
    readonly ageMs?: number;
  };
  /** The server's settings of these collections differ from the client's; the server's count. */
  "settings-differ": { readonly collections: readonly string[] };
}

/** Events that the face listens to itself. */
interface OwnEvents {
  /** An entity that was asked for is here now, or is not there. */
  fetched: { readonly collection: string; readonly id: string };
  /** The store was left for another user's. */
  left: object;
  /** The server does not give one that was asked for. */
  "fetch-refused": { readonly collection: string; readonly id: string; readonly error: WireError };
}

type AllEvents = DbEvents & OwnEvents;

/** What the wasm class sends. */
export type WireEvent =
  | { type: "changed"; collection: string; ids: string[]; origin: "local" | "remote" }
  | { type: "loaded"; collection: string }
  | EarlyEvent
  | { type: "status" }
  | { type: "queue" }
  | { type: "health" }
  | { type: "durable"; write: number; count?: number }
  | { type: "write-failed"; write: number; error: WireError }
  | { type: "verdict"; write: number; index: number; verdict: Verdict }
  | { [E in keyof AllEvents]: { type: E } & AllEvents[E] }[keyof AllEvents];

/** What the server decided about a mutation. */
export type Verdict =
  | { readonly verdict: "applied"; readonly rev: number; readonly duplicate?: boolean }
  | {
      readonly verdict: "merged";
      readonly rev: number;
      readonly overwritten?: readonly Overwritten[];
      /** What was inserted as `from` is `to`: another entity has its natural key. */
      readonly remap?: { readonly from: string; readonly to: string };
      readonly duplicate?: boolean;
    }
  | {
      readonly verdict: "conflict";
      readonly rev: number;
      /** JSON Pointers of the fields that wait for a decision. */
      readonly parked: readonly string[];
      readonly overwritten?: readonly Overwritten[];
      /** What was inserted as `from` is `to`: another entity has its natural key. */
      readonly remap?: { readonly from: string; readonly to: string };
      readonly duplicate?: boolean;
    }
  | {
      readonly verdict: "rejected";
      readonly code: string;
      readonly path?: string;
      readonly message: string;
      readonly duplicate?: boolean;
    }
  | { readonly verdict: "held"; readonly reason: "missing" | "after"; readonly duplicate?: boolean }
  | { readonly verdict: "void"; readonly duplicate?: boolean };

type Listener = (event: never) => void;

/** Listeners by event. */
export class Emitter {
  readonly #listeners = new Map<string, Set<Listener>>();

  on<E extends keyof AllEvents>(event: E, fn: (event: AllEvents[E]) => void): () => void {
    const set = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, set);
    const listener: Listener = (value) => fn(value);
    set.add(listener);
    return () => set.delete(listener);
  }

  emit(event: string, value: object): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      guarded(() => listener(value as never));
    }
  }
}
