/** Where the log is kept: IndexedDB, or memory where there is none. */
import { TidewireError } from "../errors.js";
import { databaseName } from "./connection.js";
import { IndexedDb } from "./indexeddb.js";
import type { Memory } from "./memory.js";
import { Failure } from "./request.js";
import type { Encrypt } from "./vault-key.js";

/** A key, and bytes where there are some. */
export type Part = readonly [key: number, bytes?: Uint8Array | undefined];

/** What a store answers: a number of `module.ts` and what belongs to it. */
export interface Reply {
  readonly answer: number;
  /** The fence, or the first key. */
  readonly number?: number;
  readonly parts?: readonly Part[];
  /** How many of the parts, after the first, are directories; the others are the log. */
  readonly directories?: number;
  /** The format that the database was moved from, if there may be something left to do of that. */
  readonly from?: number;
  /** What an encrypted store says of its keys. */
  readonly sealed?: unknown;
}

/** Turns log into segments; see `StoreOp::Seal` in `core/src/io.rs`. */
export interface Seal {
  readonly expect: number;
  readonly upto: number;
  readonly fence: number;
  /** The record, the state, and then each segment with its directory. */
  readonly parts: readonly Uint8Array[];
}

/** One database; every operation is one transaction. */
export interface Store {
  readonly kind: "indexeddb" | "memory";
  /** Is called when the browser took the database away. */
  lost?: () => void;
  load(): Promise<Reply>;
  readLog(after: number): Promise<Reply>;
  readSegments(keys: readonly number[]): Promise<Reply>;
  append(records: readonly Uint8Array[], strict: boolean): Promise<Reply>;
  seal(seal: Seal): Promise<Reply>;
  /** Replaces segments by others, unless the fence has moved or one is gone. */
  clean(fence: number, victims: readonly number[], parts: readonly Uint8Array[]): Promise<Reply>;
  /** Deletes everything. The store may be closed. */
  erase(): Promise<void>;
  /** Lets the database go; what is under way still ends. */
  close(): void;
}

/** Where the keys of an encrypted store come from. */
export interface Keys {
  readonly encrypt?: Encrypt | undefined;
  readonly user?: string | null;
}

/** Stores in memory last as long as the page: a fresh instance, or a user who comes back, finds what was there. */
const memories = new Map<string, Memory>();

/**
 * Opens what the settings ask for; memory where the browser has no IndexedDB for this page (private windows of old,
 * pages without an origin). A database that is there but fails is an error: memory would look as if the data were
 * gone.
 */
export async function openStore(name: string, wanted: Store["kind"], { encrypt, user }: Keys = {}): Promise<Store> {
  if (wanted === "memory") return memory(name);
  if (wanted !== "indexeddb") throw new TidewireError("bad-config", '`storage` is "indexeddb" or "memory".');
  // Its code is loaded here: most apps need none of it.
  const vault = encrypt && (await import("./vault.js"));
  const store = vault ? new vault.Vault(name, encrypt as Encrypt, user) : new IndexedDb(name);
  try {
    await store.open();
    return store;
  } catch (error) {
    store.close();
    if (error instanceof Failure && error.why === "unavailable") return memory(name);
    throw error;
  }
}

/** Closes a store that may still be opening. */
export function closeWhenOpen(opening: Promise<Store>): void {
  opening.then(
    (store) => store.close(),
    () => undefined,
  );
}

/** Whether a store of this name may be there: without making one, where the browser can tell. */
export async function hasStore(name: string): Promise<boolean> {
  if (memories.has(name)) return true;
  try {
    return (await indexedDB.databases()).some((found) => found.name?.startsWith(databaseName(name, "")));
  } catch {
    return true;
  }
}

/** Lets go of a store in memory that nobody comes back to. */
export function forgetMemory(name: string): void {
  memories.delete(name);
}

/** Its code is loaded here: nearly every page has IndexedDB. */
async function memory(name: string): Promise<Memory> {
  const { Memory } = await import("./memory.js");
  const store = memories.get(name) ?? new Memory();
  memories.set(name, store);
  return store;
}
