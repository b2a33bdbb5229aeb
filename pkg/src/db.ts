/**
 * `openDb`: a database is a name and a configuration. It opens nothing by itself: the WebAssembly module and the store
 * are loaded on first use, in a browser only.
 *
 * Invariant: in one page there is one instance per name, however often `openDb` is called with an equal configuration.
 */
import type { Backend, Rate } from "./backend/types.js";
import { DbCollection, type CollectionOf } from "./collection.js";
import { LazyConflicts } from "./conflicts.js";
import { isBrowser, time } from "./env.js";
import { TidewireError } from "./errors.js";
import type { DbEvents } from "./events.js";
import type { Net } from "./host/net.js";
import type { IntentTarget } from "./intents.js";
import { canonicalJson, cleanJson, type Json, type JsonObject } from "./json.js";
import { clientConfig, NO_TOKEN, partsOf, type CollectionParts, type DbOptions, type DbSettings } from "./options.js";
import { pointerKeys, readPointer, toPointer, writePointer } from "./path.js";
import { includesOf, type Includes } from "./refs.js";
import type { QueueView } from "./status.js";
import { Session } from "./session.js";
import { syncOf, type Sync } from "./sync.js";
import { runTransaction, type Transaction } from "./transaction.js";
import type { Collections, SchemaOf } from "./types.js";
import { signIn, signOut, type SignInOptions, type SignOutOptions } from "./users.js";
import { wasmFactory, type ClientFactory } from "./wasm/client.js";
import type { ClientConfig, PeerEngine } from "./wasm/wire.js";
import type { Write } from "./write.js";

/** Everything in a database, as plain data. */
export interface Export {
  readonly tidewire: 1;
  readonly collections: { readonly [name: string]: readonly { readonly id: string; readonly [field: string]: Json }[] };
  readonly queue: QueueView;
}

/** A database without its collections. */
export interface DbBase<C extends Collections> {
  readonly sync: Sync;
  /** All edits that `fn` makes happen together or not at all, here and on the server. `fn` must be synchronous. */
  transaction<R>(fn: (tx: Transaction<C>) => R extends PromiseLike<unknown> ? never : R): Write<R>;
  /** Calls `fn` at each such event; returns how to stop. */
  on<E extends keyof DbEvents>(event: E, fn: (event: DbEvents[E]) => void): () => void;
  /**
   * Goes on with the store of `user`: each user has one of their own, and what is queued in it is never pushed as
   * anybody else. Resolves when it is open; until then reads and writes belong to the store before. Call it when the
   * page starts, too, and let `auth` give the token of the user that it is asked for. What was written before anybody
   * signed in becomes theirs, unless the options say otherwise; `pending` of it waits for `{ adopt }`.
   */
  signIn(user: string, options?: SignInOptions): Promise<{ readonly pending: number }>;
  /** Goes on with the store of whoever has not signed in. */
  signOut(options?: SignOutOptions): Promise<void>;
  /** Everything in the store and in the queue. */
  export(): Promise<Export>;
  /**
   * Writes the rows of an export: new ones are inserted, others replaced, but for sensitive fields, which no export
   * has. Resolves with their number when they are durable.
   */
  import(data: Export): Promise<{ readonly rows: number }>;
  /** Deletes the store on this device, what is unsent included, and closes the database. */
  erase(): Promise<void>;
  /** Ends this use of the database. The last one of a name closes it. */
  close(): Promise<void>;
}

/** A database: its collections by name, and what is in {@link DbBase}. */
export type Db<C extends Collections> = DbBase<C> & {
  readonly [K in keyof C]: CollectionOf<SchemaOf<C[K]>, Includes<C, K>>;
};

/** How the hooks reach the session of a database. */
export const SESSION = Symbol("tidewire.session");

/** Rows in one write of an import: enough to be fast, few enough to keep the page alive. */
const IMPORT_CHUNK = 500;

interface Instance {
  readonly db: Db<Collections>;
  readonly session: Session;
  readonly config: string;
  parts: ReadonlyMap<string, CollectionParts>;
  auth: DbSettings["auth"];
  backend: DbSettings["backend"];
  uses: number;
}

const instances = new Map<string, Instance>();

/** Opens the database of that name, or returns the one that is open. */
export function openDb<const C extends Collections>(options: DbOptions<C>): Db<C> {
  return openWith(
    options as unknown as DbOptions<Collections>,
    isBrowser() ? wasmFactory(options.wasm) : undefined,
  ) as unknown as Db<C>;
}

/** `openDb` with another maker of clients: for the tests of this package. */
export function openWith(
  options: DbSettings & { readonly collections: Collections },
  factory: ClientFactory | undefined,
): Db<Collections> {
  const parts = partsOf(options.collections);
  const config = clientConfig(options, parts);
  const text = canonicalJson(cleanJson(config));
  const known = instances.get(config.name);
  if (known !== undefined && known.config !== text) {
    throw new TidewireError(
      "config-differs",
      `A database "${config.name}" is open with another configuration. Close it first, or use another name.`,
    );
  }
  if (known !== undefined) {
    known.uses += 1;
    known.parts = parts;
    known.auth = options.auth;
    known.backend = options.backend;
    return known.db;
  }
  const instance = makeInstance(config, text, parts, options, factory);
  // A server renders for many users in one process, and its databases never open: it keeps none.
  if (factory !== undefined) instances.set(config.name, instance);
  return instance.db;
}

function makeInstance(
  config: ReturnType<typeof clientConfig>,
  text: string,
  parts: ReadonlyMap<string, CollectionParts>,
  { auth, backend, rate, encrypt }: DbSettings,
  factory: ClientFactory | undefined,
): Instance {
  const session = new Session(config, factory, {
    encrypt,
    token: async (why) => {
      if (instance.auth === undefined && backend !== undefined) return NO_TOKEN;
      return (await instance.auth?.(why, session.user)) ?? null;
    },
    ...(backend && { peer: (engine) => loadPeer(engine, session, () => instance.backend as Backend, rate) }),
  });
  const target = (name: string) => (): IntentTarget => {
    const { schema, options } = instance.parts.get(name) as CollectionParts;
    return { name, schema, hidden: hiddenOf(config, options.sensitive) };
  };
  const targets = new Map([...parts.keys()].map((name) => [name, target(name)]));
  const includes = includesOf(parts);
  const conflicts = new LazyConflicts(session, (name) => targets.get(name)?.());
  const collections = Object.fromEntries(
    [...targets].map(([name, of]) => [name, new DbCollection(session, name, of, conflicts, includes.get(name))]),
  );
  const sync = syncOf(session, conflicts.face());
  session.onOpen = () => {
    // Databases without a conflict function pay nothing for it.
    if (![...instance.parts.values()].some(({ options }) => typeof options.conflict === "function")) return;
    session.onOpen = undefined;
    void Promise.all([import("./conflict-functions.js"), conflicts.load()]).then(([{ decide }, book]) =>
      decide(session, book, () => instance.parts),
    );
  };
  const base: DbBase<Collections> = {
    sync,
    transaction: (fn) => runTransaction(session, targets, fn as unknown as (tx: never) => never),
    on: (event, fn) => {
      session.start();
      return session.events.on(event, fn);
    },
    signIn: (user, options = {}) => signIn(session, user, options),
    signOut: (options = {}) => signOut(session, options, sync.done),
    export: async () => {
      await session.whenWhole();
      return JSON.parse(session.call((client) => client.exportData())) as Export;
    },
    import: (data) => importRows(collections, data, instance),
    erase: async () => {
      forget(instance);
      await session.whenOpen().catch((error: TidewireError) => {
        // One whose key is lost cannot be opened, only given up.
        if (session.failure === undefined || error.retryable) throw error;
      });
      await session.close(true);
    },
    close: () => release(instance),
  };
  const db = Object.freeze({ ...collections, ...base, [SESSION]: session }) as unknown as Db<Collections>;
  const instance: Instance = { db, session, config: text, parts, auth, backend, uses: 1 };
  return instance;
}

/** The peer that stands before a backend; its code is loaded here. */
async function loadPeer(
  engine: PeerEngine,
  session: Session,
  backend: () => Backend,
  rate: Rate | undefined,
): Promise<Net> {
  const { Peer } = await import("./backend/peer.js");
  const timeoutMs = session.config["timeoutMs"] as number | undefined;
  return new Peer({ backend, rate, settings: () => session.config.collections, timeoutMs, user: session.user }, engine);
}

/**
 * Closes with the last use, and not in the same task: a component that mounts twice, or a hot reload, keeps the
 * store open.
 */
async function release(instance: Instance): Promise<void> {
  if (instance.session.closed) return;
  instance.uses = Math.max(0, instance.uses - 1);
  if (instance.uses > 0) return;
  await new Promise<void>((resolve) => time.after(resolve));
  if (instance.uses > 0 || instance.session.closed) return;
  forget(instance);
  await instance.session.close();
}

function forget(instance: Instance): void {
  const { name } = instance.session.config;
  if (instances.get(name) === instance) instances.delete(name);
}

async function importRows(
  collections: { readonly [name: string]: DbCollection<unknown, unknown> },
  data: Export,
  { session, parts }: Instance,
): Promise<{ readonly rows: number }> {
  if (data?.tidewire !== 1) throw new TidewireError("bad-value", "This is no export of a Tidewire database.");
  let count = 0;
  for (const [name, rows] of Object.entries(data.collections)) {
    const collection = Object.hasOwn(collections, name) ? collections[name] : undefined;
    if (collection === undefined)
      throw new TidewireError("unknown-collection", `The export holds "${name}", which this database has not.`, {
        collection: name,
      });
    const hidden = hiddenOf(session.config, parts.get(name)?.options.sensitive);
    // What it has not is no removal, also where it is not known now.
    const $missing = hidden.map((path) => pointerKeys(path).join("."));
    const whole = (row: JsonObject & { readonly id: string }): JsonObject =>
      hidden.length > 0 ? { ...withKept(row, session.rows.entity(name, row.id), hidden), $missing } : row;
    for (let from = 0; from < rows.length; from += IMPORT_CHUNK) {
      if (hidden.length > 0) await session.whenOpen();
      await collection.upsertMany(rows.slice(from, from + IMPORT_CHUNK).map(whole));
    }
    count += rows.length;
  }
  return { rows: count };
}

/** Pointers of the fields that are not stored. */
function hiddenOf(config: ClientConfig, sensitive: readonly string[] = []): readonly string[] {
  return config["sensitive"] === undefined ? [] : sensitive.map(toPointer);
}

/** A row with the fields as they are now that no export has. */
function withKept(row: JsonObject, now: JsonObject | undefined, pointers: readonly string[]): JsonObject {
  return pointers.reduce((whole, pointer) => {
    const value = now && readPointer(now, pointer);
    return value === undefined || readPointer(row, pointer) !== undefined ? whole : writePointer(whole, pointer, value);
  }, row);
}
