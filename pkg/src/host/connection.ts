/**
 * One connection at a time, opened again when it died.
 *
 * Stores, all with integer keys: `log` and `segs` (autoincrement), `dirs` (the key of its segment), `meta`. A new
 * format is a database of a new name, never a raised version: a frozen tab would block the upgrade for ever.
 */
import { Failure, failureOf, reply } from "./request.js";

/** The version inside IndexedDB, for ever. */
const VERSION = 1;
/** The format of the records, part of the database's name. */
const FORMAT = 1;

/** The name of a store's database. */
export function databaseName(store: string): string {
  return `tidewire:${store}:${FORMAT}`;
}

/** The connection to one database. */
export class Connection {
  readonly #name: string;
  #db: IDBDatabase | undefined;
  /** Settles when the one that opens it now is done; never rejects. */
  #opening: Promise<void> | undefined;
  /** Whether it was open before: then a database that is new has been wiped. */
  #again = false;
  #closed = false;

  constructor(name: string) {
    this.#name = databaseName(name);
  }

  /** The open database; opens it if it is not. */
  async get(): Promise<IDBDatabase> {
    for (;;) {
      if (this.#closed) throw new Failure("dead");
      if (this.#db !== undefined) return this.#db;
      if (this.#opening === undefined) break;
      await this.#opening;
    }
    const opened = open(this.#name).then((result) => this.#adopt(...result));
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

  /** Deletes the database. Other tabs close it when they are asked to; a frozen one delays this. */
  async erase(): Promise<void> {
    this.forget();
    this.#again = false;
    await reply(factory().deleteDatabase(this.#name));
  }

  #adopt(db: IDBDatabase, created: boolean): IDBDatabase {
    const wiped = created && this.#again;
    this.#again = true;
    // `close`: the browser closed it (its data was cleared, its process died). `versionchange`: another tab erases it,
    // or a later release upgrades it; as long as this connection is open, that one waits. In both cases the next piece
    // of work opens it anew and finds out what is there.
    db.onclose = db.onversionchange = () => {
      db.close();
      if (this.#db === db) this.#db = undefined;
    };
    if (this.#closed) {
      db.close();
      throw new Failure("dead");
    }
    this.#db = db;
    if (wiped) throw new Failure("wiped");
    return db;
  }
}

/** Opens the database and says whether it was made just now. */
async function open(name: string): Promise<[db: IDBDatabase, created: boolean]> {
  let created = false;
  try {
    const request = factory().open(name, VERSION);
    request.onupgradeneeded = () => {
      created = true;
      const db = request.result;
      for (const numbered of ["log", "segs"]) db.createObjectStore(numbered, { autoIncrement: true });
      for (const plain of ["dirs", "meta"]) db.createObjectStore(plain);
    };
    const opened = new Promise<IDBDatabase>((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    return [await opened, created];
  } catch (thrown) {
    throw notOpened(thrown);
  }
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
