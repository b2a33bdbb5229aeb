/**
 * One connection at a time, opened again when it died.
 *
 * Stores, all with integer keys: `log` and `segs` (autoincrement), `dirs` (the key of its segment), `meta`. A new
 * format is a database of a new name, never a raised version: a frozen tab would block the upgrade for ever. A small
 * database beside the data says which format is current. It is asked only where this format's is not there: one that
 * is there is current unless its log says otherwise (`Moved`).
 */
import { FORMAT } from "./format.js";
import { Failure, failureOf, read, reply, write } from "./request.js";

/** The version inside IndexedDB, for ever. */
const VERSION = 1;

/** Keys in `meta`, beside those of the engine: the format that this database was moved from, */
export const FROM = 4;
/** and how far: the last key of the old log that is taken care of. Below 1: a copy is under way, and whose. */
export const MARK = 5;
/** What an encrypted store says of its keys (`vault.ts`). 8 is a service worker's (`service-worker/pass.ts`). */
export const VAULT = 7;

/** The name of a store's database; its lock and its channel have the same. */
export function databaseName(store: string, format: number | string = FORMAT): string {
  return `tidewire:${store}:${format}`;
}

/** The name of a user's store; null: that of whoever has not signed in. */
export function storeOf(name: string, user: string | null): string {
  return user === null ? name : `${name}@${encodeURIComponent(user)}`;
}

/** Is called with a database that was just opened. True: it is another one than before. */
export type Meet = (db: IDBDatabase) => Promise<boolean>;

/** The connection to one database. */
export class Connection {
  readonly #store: string;
  #db: IDBDatabase | undefined;
  /** Settles when the one that opens it now is done; never rejects. */
  #opening: Promise<void> | undefined;
  /** Whether it was open before: then a database that is new has been wiped. */
  #again = false;
  #closed = false;

  /** Is told when the browser closed it: what only this tab knows has to be stored anew before the tab is gone, too. */
  lost?: () => void;

  /** `meet`, of an encrypted store, takes its keys. */
  constructor(
    store: string,
    readonly meet?: Meet,
  ) {
    this.#store = store;
  }

  /** The database, if it is open. */
  get opened(): IDBDatabase | undefined {
    return this.#db;
  }

  /** The open database; opens it if it is not. */
  async get(): Promise<IDBDatabase> {
    for (;;) {
      if (this.#closed) throw new Failure("dead");
      if (this.#db !== undefined) return this.#db;
      if (this.#opening === undefined) break;
      await this.#opening;
    }
    const opened = this.#open();
    const done = (): void => void (this.#opening = undefined);
    this.#opening = opened.then(done, done);
    return opened;
  }

  /** Lets a connection go that does not work any more. */
  forget(): void {
    this.#db?.close();
    this.#db = undefined;
  }

  /** Closes it for good. */
  close(): void {
    this.#closed = true;
    this.forget();
  }

  /** Deletes the database and what older releases left. Other tabs close it when asked to; a frozen one delays this. */
  async erase(): Promise<void> {
    this.forget();
    this.#again = false;
    for (let format = FORMAT; format > 0; format -= 1) await remove(databaseName(this.#store, format));
    await remove(pointerName(this.#store));
  }

  async #open(): Promise<IDBDatabase> {
    const name = databaseName(this.#store);
    const found = await open(name, DATA);
    if (found !== undefined) return this.#adopt(found);
    const from = await settle(this.#store);
    // A database that went away under an open tab is not moved once more.
    const made = await open(name, DATA, this.#again ? 0 : from);
    return this.#adopt(made as IDBDatabase, this.#again);
  }

  async #adopt(db: IDBDatabase, wiped = false): Promise<IDBDatabase> {
    // `close`: the browser closed it (its data was cleared, its process died). `versionchange`: another tab erases it,
    // or a later release upgrades it; as long as this connection is open, that one waits. In both cases the next piece
    // of work opens it anew and finds out what is there.
    db.onversionchange = () => {
      db.close();
      if (this.#db === db) this.#db = undefined;
    };
    db.onclose = () => {
      if (this.#db !== db) return;
      this.#db = undefined;
      this.lost?.();
    };
    try {
      // Of a store without keys the first `load` looks: somebody may have made it anew, and then with keys.
      wiped = (await (this.meet?.(db) ?? (this.#again && isSealed(db)))) || wiped;
      if (this.#closed) throw new Failure("dead");
    } catch (error) {
      db.close();
      throw error;
    }
    this.#again = true;
    this.#db = db;
    if (wiped) throw new Failure("wiped");
    return db;
  }
}

/** Object stores by name, and whether they number what is put into them. */
interface Layout {
  readonly [store: string]: boolean;
}

/** The stores of the data. */
export const DATA: Layout = { log: true, segs: true, dirs: false, meta: false };
const POINTER: Layout = { meta: false };
/** The pointer's one key. */
const CURRENT = 1;

/**
 * Opens a database. One that is not there is made only where it is said from which format its data comes (0: from
 * none).
 */
export async function open(name: string, layout: Layout, from?: number): Promise<IDBDatabase | undefined> {
  let missing = false;
  try {
    const request = factory().open(name, VERSION);
    request.onupgradeneeded = () => {
      missing = from === undefined;
      // Then there is no such database, as before.
      if (missing) return request.transaction?.abort();
      for (const [store, autoIncrement] of Object.entries(layout))
        request.result.createObjectStore(store, { autoIncrement });
      if (from) request.transaction?.objectStore("meta").put(from, FROM);
    };
    return await new Promise<IDBDatabase>((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  } catch (thrown) {
    if (missing) return undefined;
    throw notOpened(thrown);
  }
}

/** Whether the database is of an encrypted store. */
function isSealed(db: IDBDatabase): Promise<boolean> {
  return read(db, ["meta"], async (store) => (await reply<unknown>(store("meta").get(VAULT))) !== undefined);
}

/** Deletes a database. */
export async function remove(name: string): Promise<void> {
  await reply(factory().deleteDatabase(name));
}

/**
 * Says which format a store that has no database of this format is to be moved from: 0, from none, and then this one
 * is current from now on.
 */
async function settle(store: string): Promise<number> {
  // The first release had no pointer.
  const first = FORMAT > 1 ? await open(databaseName(store, 1), DATA) : undefined;
  first?.close();
  return point(store, (current) => current ?? (first === undefined ? FORMAT : 1));
}

/** Asks which format is current, and says so; returns the one to move from. */
export async function point(store: string, decide: (current?: number) => number): Promise<number> {
  const db = (await open(pointerName(store), POINTER, 0)) as IDBDatabase;
  try {
    const now = await write(db, ["meta"], "strict", async (stores) => {
      const current = decide(await reply<number | undefined>(stores("meta").get(CURRENT)));
      stores("meta").put(current, CURRENT);
      return current;
    });
    if (now > FORMAT) throw new Failure("newer");
    return now < FORMAT ? now : 0;
  } finally {
    db.close();
  }
}

function pointerName(store: string): string {
  return `tidewire:${store}:current`;
}

/** Reading the property throws where the page may not use it. */
function factory(): IDBFactory {
  const found = typeof indexedDB === "object" ? (indexedDB as IDBFactory | null) : null;
  if (found === null) throw new Failure("unavailable");
  return found;
}

function notOpened(thrown: unknown): Failure {
  switch ((thrown as DOMException | null)?.name) {
    // A page without an origin, storage switched off; InvalidStateError: Firefox's private windows of old.
    case "SecurityError":
    case "InvalidStateError":
      return new Failure("unavailable");
    case "VersionError":
      return new Failure("newer");
    default:
      return failureOf(thrown);
  }
}
