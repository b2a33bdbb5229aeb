/**
 * A backend of the app's own in place of a server of Tidewire: what `openDb({ backend })` takes.
 *
 * The engine stays as it is: queue, retries, conflicts and live queries work as with a server. What a server would
 * decide is decided on the device, by the collection's own settings, and sent with compare-and-set.
 */
import type { Json, JsonObject } from "../json.js";

/** One entity as the backend has it. */
export interface BackendRow {
  readonly id: string;
  /**
   * What changes with every change of the row: an ETag, a revision, a counter. It comes back as `ifVersion`. Without
   * one the backend cannot tell concurrent writes apart, and the last one wins whole.
   */
  readonly version?: string;
  /** When it last changed, in milliseconds by the backend's clock: `last-write-wins` compares it with the edit's. */
  readonly updatedAt?: number;
  /** Whether the row was deleted: a tombstone. */
  readonly deleted?: boolean;
  /** The entity; an `id` in it is left out. Of a tombstone it does not count. */
  readonly value?: JsonObject;
}

/** What every call is given. */
export interface BackendCall {
  /** The collection, as it is named in `openDb`. */
  readonly collection: string;
  /** What `auth` gave; null without `auth`. */
  readonly token: string | null;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** Asks for the rows that changed. */
export interface BackendPull extends BackendCall {
  /** The `next` of the answer before; null at first, and then everything is wanted. */
  readonly since: Json;
  /** About how many rows to answer with. */
  readonly limit: number;
}

/** Some rows. */
export interface BackendPage {
  readonly rows: readonly BackendRow[];
  /** Where to go on, now or at the next poll: any JSON. It is kept on the device together with the rows. */
  readonly next?: Json;
  /** Whether there are more rows at `next` now. */
  readonly more?: boolean;
  /**
   * The pages from `since: null` on are all that there is: what is not in them was deleted. Say it at the last page.
   * For backends that keep no tombstones; every poll then reads the whole list, so leave `next` out.
   */
  readonly complete?: boolean;
}

/** One edit of one entity, decided on the device and ready to be stored. */
export interface BackendEdit extends BackendCall {
  readonly id: string;
  /** `insert`: it must not exist yet. `update`, `delete`: it must stand at `ifVersion`. */
  readonly kind: "insert" | "update" | "delete";
  /** The whole entity as it is to be, without its id; of a delete, what it was. */
  readonly value: JsonObject;
  /** The top-level fields that the edit changes, with their new values; null for a field that goes. */
  readonly changed: JsonObject;
  /** Compare-and-set: store only if the row's version is this one, else answer `conflict`. */
  readonly ifVersion?: string;
  /** The same at every try of this edit, and of no other: for an `Idempotency-Key` header. */
  readonly key: string;
  /** The parts of the key: the device's store, and the edit's number in it. */
  readonly replica: string;
  readonly n: readonly [number, number];
}

/** The row was stored; it stands so now. What is left out is as it was sent. */
export interface BackendStored {
  readonly version?: string;
  readonly updatedAt?: number;
  /** The whole entity, where the backend changes what it stores. */
  readonly value?: JsonObject;
  /** It was stored, and the row was deleted since: the answer to a later try of an edit that is remembered. */
  readonly deleted?: boolean;
  readonly conflict?: never;
  readonly rejected?: never;
}

/**
 * The row is not at `ifVersion`, or exists already: what stands there, or null if there is none. Nothing was stored.
 */
export interface BackendConflict {
  readonly conflict: BackendRow | null;
  readonly rejected?: never;
}

/** The backend will never store this. The edit goes to `db.sync.queue` as failed; nothing was stored. */
export interface BackendRejection {
  readonly rejected: {
    readonly code: "invalid" | "forbidden" | "too-large" | "exists" | "not-found" | "deleted";
    /** What to do about it. */
    readonly message: string;
    /** JSON Pointer of the field. */
    readonly path?: string;
  };
  readonly conflict?: never;
}

/** What became of an edit. */
export type BackendAnswer = BackendStored | BackendConflict | BackendRejection;

/**
 * The three calls of a backend. A call that throws is tried again later: with a number `status` of 5xx or without one
 * after a pause that grows, with 429 after `retryAfterMs`, with 401 after `auth` gave another token, with any other
 * 4xx never: that edit is rejected. `BackendError` of `tidewire/backend` has these fields.
 */
export interface Backend {
  /** Reads what changed since. */
  pull(request: BackendPull): Promise<BackendPage>;
  /** Stores one edit. */
  push(edit: BackendEdit): Promise<BackendAnswer>;
  /**
   * Stores the edits of one transaction, all or none; one answer for each, in their order. If one is a conflict or is
   * rejected nothing was stored, and the other answers do not count. `ifVersion` is always the version from before the
   * transaction, also where several of its edits are of one entity. Without this they are sent one by one.
   */
  pushAll?(edits: readonly BackendEdit[]): Promise<readonly BackendAnswer[]>;
  /**
   * Calls `onChange` when something may have changed: then `pull` is called. Returns how to stop. `onLost` says that
   * the connection is gone: `listen` is called again later, and until then there is polling.
   */
  listen?(listener: BackendListener): () => void;
  /**
   * Whether the backend knows an edit by its `key` and stores it once, however often it comes; to a later try it
   * answers with the row as it stands then. Without it an edit whose answer was lost may be stored twice: see
   * `status.delivery`.
   */
  readonly remembers?: boolean;
}

/** What `listen` is given. */
export interface BackendListener {
  readonly collections: readonly string[];
  readonly token: string | null;
  readonly onChange: () => void;
  readonly onLost: () => void;
}

/** How fast a backend may be called. */
export interface Rate {
  /** At least so long between the starts of two calls; 0. */
  readonly minIntervalMs?: number;
  /** At most so many calls at once; 4. Never two for one entity. */
  readonly concurrency?: number;
}
