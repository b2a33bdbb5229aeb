/**
 * The boundary between the face and a client: the host, and behind it the wasm class. All structured data crosses as
 * JSON text; the types here say what the texts hold.
 */
import type { Net } from "../host/net.js";
import type { Keys } from "../host/store.js";
import type { Surroundings } from "../host/surroundings.js";
import type { Json, JsonObject } from "../json.js";

/** A client. `write` and `command` throw errors with `code`, `retryable`, `hint` and what they are about. */
export interface WireClient {
  open(): Promise<string>;
  write(request: string, lines: string): string;
  undo(write: number): string;
  row(collection: string, id: string): string | undefined;
  /**
   * Asks for a row while the store opens; an event `row` brings it, if that is sooner. Without a collection, for the
   * first rows of the query that `id` is; an event `page` brings them.
   */
  want(collection: string, id: string): void;
  rows(collection: string, ids: string): string;
  query(request: string): string;
  view(what: "status" | "queue" | "health" | "metrics" | "conflicts" | "calls"): string;
  command(request: string): string;
  exportData(): string;
  /** A write of the user's is durable: the browser is asked to keep what is stored. */
  keep(): void;
  close(): Promise<void>;
  erase(): Promise<void>;
}

/** What a client calls back. Never while one of its own methods is running. */
export interface WireHost extends Keys {
  /** What stands for the browser. */
  readonly surroundings?: Surroundings;
  event(json: string): void;
  token(why: "start" | "expiring" | "rejected"): Promise<string | null>;
  /** The client has let everything go: it was closed, or its instance has trapped. */
  over?(): void;
  /** Loads a peer that runs in this tab and takes the place of the server. */
  readonly peer?: ((engine: PeerEngine) => Promise<Net>) | undefined;
}

/** What such a peer may ask of the engine; undefined when it is closed. */
export interface PeerEngine {
  command(request: object): string | undefined;
  query(request: WireQuery): string | undefined;
  event(event: object): void;
}

/** The JSON that a client is made from. */
export interface ClientConfig {
  readonly name: string;
  readonly url: string | null;
  readonly storage: "indexeddb" | "memory";
  readonly durability: "strict" | "relaxed";
  readonly collections: { readonly [name: string]: JsonObject };
  /** Of a backend; a server of Tidewire is exactly-once. */
  readonly delivery?: "exactly-once" | "at-least-once";
  readonly [option: string]: Json | undefined;
}

/** One edit, as `write` takes it. */
export type WireOp =
  | {
      readonly op: "insert";
      readonly c: string;
      readonly ids: readonly string[];
      /** For each the id and the document as JSON, one behind the other; they stand beside the request. */
      readonly lines: readonly string[];
    }
  | ({
      readonly op: "patch";
      readonly c: string;
      readonly id: string;
      readonly ifRev?: number;
      /** Conflicts of the entity that are decided with it. It is made against the row without what waits there. */
      readonly resolves?: readonly string[];
    } & WirePatch)
  | {
      readonly op: "replace";
      readonly c: string;
      readonly id: string;
      readonly value: JsonObject;
      readonly ifRev?: number;
    }
  | { readonly op: "delete"; readonly c: string; readonly id: string; readonly ifRev?: number };

/** The parts of a patch, by JSON Pointer. */
export interface WirePatch {
  readonly set?: { readonly [pointer: string]: Json };
  readonly unset?: readonly string[];
  readonly inc?: { readonly [pointer: string]: number };
  readonly add?: { readonly [pointer: string]: readonly Json[] };
  readonly remove?: { readonly [pointer: string]: readonly Json[] };
}

/** A filter, normalised. */
export type WireWhere =
  | { readonly and: readonly WireWhere[] }
  | { readonly or: readonly WireWhere[] }
  | { readonly not: WireWhere }
  | { readonly path: string; readonly op: WireOperator; readonly value: Json };

/** The comparisons that a filter knows. */
export type WireOperator = "eq" | "ne" | "gt" | "gte" | "lt" | "lte" | "in" | "contains" | "startsWith";

/** A question to `query`. */
export interface WireQuery {
  readonly c: string;
  readonly where?: WireWhere;
  readonly orderBy?: readonly (readonly [string, "asc" | "desc"])[];
  readonly limit?: number;
  readonly offset?: number;
  readonly after?: string;
  /** A kept answer tells `total` and `next`. */
  readonly page?: boolean;
  /** What is made of the rows instead, and of which field. */
  readonly fold?: readonly ["count"] | readonly ["sum" | "avg" | "min" | "max", string];
  readonly groupBy?: string;
}

/**
 * The answer of `query`. With `{ ...query, watch: true }` the core keeps it, `{ delta: handle }` asks how it changed
 * since, and `{ drop: handle }` lets it go.
 */
export interface WireAnswer {
  readonly handle?: number;
  /** Ids of rows, or `[group, number]`. */
  readonly items?: readonly Json[];
  /** The way from the last answer, instead of `items`: arguments of `splice`. */
  readonly steps?: readonly (readonly [number, number, ...Json[]])[];
  readonly total?: number;
  readonly next?: string;
}

/** A row that is known before the store is open. */
export interface WireRow {
  readonly type: "row";
  readonly collection: string;
  readonly id: string;
  readonly row: string | null;
}

/** The first rows of a query, known before the store is open: what an answer says, and the texts of its rows. */
export interface WirePage {
  readonly type: "page";
  readonly query: string;
  readonly items: readonly string[];
  readonly rows: readonly string[];
  readonly total: number;
  readonly next?: string;
}

/** What is known early. */
export type EarlyEvent = WireRow | WirePage;

/** One field of an entity that met a concurrent write, as `view("conflicts")` gives it. */
export interface WireConflict {
  readonly id: string;
  readonly c: string;
  readonly e: string;
  readonly path: string;
  readonly state: "open" | "lost" | "closed";
  readonly base?: Json;
  readonly yours?: Json;
  readonly kept?: Json;
  readonly by?: string;
  /** Whether this replica made the edit. */
  readonly own: boolean;
  readonly at: number;
  readonly rounds?: number;
}

/** A mutation's name: log key and index in its record. */
export type MutationName = readonly [number, number];

/** The error that travels in events and entries. */
export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly path?: string;
  readonly retryable?: boolean;
  readonly at?: number;
}
