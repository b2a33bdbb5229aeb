/** What the database says about syncing: status, queue, health, metrics. */
import type { Json } from "./json.js";
import type { ClientConfig, MutationName, WireError } from "./wasm/wire.js";

interface Always {
  /** Mutations that the server has not decided yet. */
  readonly pending: number;
  /** Mutations that the server refused, waiting for `retry`, `edit` or `discard`. */
  readonly failed: number;
  /** `memory`: nothing survives a reload. */
  readonly storage: "indexeddb" | "memory";
  /**
   * `at-least-once`: the backend does not remember edits, so one whose answer was lost may be stored twice. What is
   * set again changes nothing; an `inc` can count twice.
   */
  readonly delivery: Delivery;
}

/** How often an edit can take effect. */
export type Delivery = "exactly-once" | "at-least-once";

/**
 * Where syncing stands. One union: `state` says which fields there are. `synced` over a `pending` that is not 0: what
 * waits, waits for the user or for another edit (`held` in the queue). What the server fails at keeps it `syncing`.
 */
export type SyncStatus = Always &
  (
    | { readonly state: "local" }
    | { readonly state: "offline"; readonly since: number }
    | { readonly state: "connecting"; readonly attempt: number; readonly retryAt?: number }
    | { readonly state: "syncing"; readonly progress?: { readonly done: number; readonly total: number } }
    | { readonly state: "synced"; readonly at: number }
    | { readonly state: "paused"; readonly reason: PauseReason; readonly error?: WireError }
  );

/** Why syncing is paused. `user`: by `db.sync.pause()`. */
export type PauseReason = "user" | "auth" | "quota" | "upgrade" | "wrong-user" | (string & {});

/** The status as the core gives it. */
export type SyncView = SyncStatus & { readonly leader?: boolean; readonly loaded: readonly string[] };

/** The status that a text of the core holds. */
export function parseStatus(text: string, delivery: Delivery): SyncView {
  const view = { ...(JSON.parse(text) as SyncView), delivery };
  switch (view.state) {
    case "connecting":
      return { ...view, attempt: view.attempt ?? 0 };
    case "offline":
      return { ...view, since: view.since ?? 0 };
    case "synced":
      return { ...view, at: view.at ?? 0 };
    case "paused":
      return { ...view, reason: view.reason ?? "user" };
    default:
      return view;
  }
}

/** One mutation in the queue. Paths are JSON Pointers. */
export interface QueueEntry {
  /** Its name for `retry`, `discard` and `edit`; null until it is stored. */
  readonly n: MutationName | null;
  /** Numbers the writes of this tab, in a queue of this tab. */
  readonly write?: number;
  readonly collection: string;
  readonly id: string;
  readonly kind: "insert" | "patch" | "delete" | (string & {});
  readonly status: "writing" | "queued" | "sent" | "settled" | "held" | "suspect" | "failed";
  /**
   * Of one that is `held`: its entity is not on the server (`missing`), an edit before it is held (`after`), or the
   * insert of its entity was refused and waits in `failed` (`refused`): `retry`, `edit` or `discard` that one.
   */
  readonly reason?: "missing" | "after" | "refused" | (string & {});
  /** When it was made, in milliseconds. */
  readonly at: number;
  readonly attempts: number;
  readonly set?: { readonly [pointer: string]: Json };
  readonly unset?: readonly string[];
  readonly inc?: { readonly [pointer: string]: number };
  readonly add?: { readonly [pointer: string]: readonly Json[] };
  readonly remove?: { readonly [pointer: string]: readonly Json[] };
  readonly error?: WireError;
}

/** Everything that waits for the server, and everything that it refused. */
export interface QueueView {
  readonly pending: readonly QueueEntry[];
  readonly failed: readonly QueueEntry[];
}

/** How well syncing works. */
export interface Health {
  readonly healthy: boolean;
  readonly reasons: readonly string[];
  readonly pending: number;
  readonly failed: number;
  readonly stuck: number;
  readonly oldestPendingMs: number | null;
  readonly lastSyncAgeMs: number | null;
  readonly errorRate: number;
  readonly storage: "indexeddb" | "memory";
  /** Whether the browser keeps what is stored when the device runs short of room; null: it does not say. */
  readonly persisted: boolean | null;
  /** Bytes that this origin stores, and that it may store, as far as the browser says. */
  readonly usage: number | null;
  readonly quota: number | null;
  /** Documents in this tab's memory: about how many bytes lie unpacked, and what the packed ones take. */
  readonly memory: { readonly unpackedBytes: number; readonly packedBytes: number };
  readonly collections: { readonly [name: string]: CollectionHealth };
  /** What the watchdog found and repaired in this tab: the last ten, the newest last. */
  readonly repairs: readonly Repair[];
}

/** Something was wrong, and was mended. Each was an event `watchdog` of the same code. */
export interface Repair {
  /**
   * `diverged`: the collection was read again; `stalled-leader`: this tab took the lead; `stalled-queue`: the
   * connection was made anew.
   */
  readonly code: "diverged" | "stalled-leader" | "stalled-queue" | (string & {});
  readonly at: number;
  readonly collection?: string;
}

/** How one collection stands. What is below `count` is there where only a part of it is kept. */
export interface CollectionHealth {
  readonly lastSyncedAt: number | null;
  /** The server's rows on this device. */
  readonly count: number;
  /** Of the rows asked for by `fetch` in this tab, how many were here, and how many were not. */
  readonly hits?: number;
  readonly misses?: number;
  /** The share of `hits`; null before the first. */
  readonly hitRate?: number | null;
  /** Rows that this tab gave up. */
  readonly evicted?: number;
}

/** Counters since the database was opened. */
export interface Metrics {
  readonly requests: number;
  readonly failures: number;
  /** Bytes of requests and answers, before compression. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** What of them travelled: after compression. Not there before a `backend`. */
  readonly wireUp?: number;
  /** Null where the browser does not tell: WebKit does not of a server with another origin than the page. */
  readonly wireDown?: number | null;
  readonly recoveries: number;
  /** Null before the first one. */
  readonly pushMs: { readonly p50: number | null; readonly p99: number | null };
  readonly pullMs: { readonly p50: number | null; readonly p99: number | null };
  readonly collections: { readonly [name: string]: CollectionMetrics };
}

/** Of one collection; only those that something was sent or received of. */
export interface CollectionMetrics {
  /** Edits that the server took, whole or merged, and that it refused. */
  readonly accepted: number;
  readonly rejected: number;
  /** Changes that the server sent. */
  readonly received: number;
  /** Of the edits and documents alone, before compression. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Pushes with edits of this collection; null before the first one. */
  readonly pushMs: { readonly p50: number | null; readonly p99: number | null };
}

/** What a status is before the store is open; the same on a server and in the first render of a page. */
export function initialStatus({ url, storage, delivery = "exactly-once" }: ClientConfig): SyncStatus {
  const always = { pending: 0, failed: 0, storage, delivery };
  return url === null ? { ...always, state: "local" } : { ...always, state: "connecting", attempt: 0 };
}
