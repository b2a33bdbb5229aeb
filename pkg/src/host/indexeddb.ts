/**
 * The log in IndexedDB: five kinds of transaction over a connection that may die at any time, and one second try.
 *
 * The invariant: an append that is reported as failed is not in the log. Whether a transaction that died with its
 * connection was committed cannot be known from the error, so the log is read again before the append is repeated.
 */
import { Connection, FROM, VAULT, type Meet } from "./connection.js";
import { FORMAT } from "./format.js";
import { APPENDED, LOADED, LOG, REFUSED, SEGMENTS, WRITTEN } from "./module.js";
import { carry } from "./move.js";
import { above, Failure, quiet, read, reply, whyOf, write, type Stores } from "./request.js";
import type { Part, Reply, Seal, Store } from "./store.js";

/** Keys in `meta`. */
export const STATE = 1;
const UPTO = 2;
const FENCE = 3;

/** A database in IndexedDB. */
export class IndexedDb implements Store {
  readonly kind = "indexeddb";
  readonly #connection: Connection;
  /** The highest log key that this tab has seen: where to look for an append whose fate is unknown. */
  #lastLog = 0;

  /** `meet` is of an encrypted store. */
  constructor(
    private readonly name: string,
    meet?: Meet,
  ) {
    this.#connection = new Connection(name, meet);
  }

  set lost(lost: () => void) {
    this.#connection.lost = lost;
  }

  /** Opens the database, new if need be. */
  async open(): Promise<void> {
    try {
      await this.#connection.get();
    } catch (error) {
      if (!(error instanceof Failure) || error.why === "unavailable") throw error;
      // The browser's storage process may just have been restarted: once more, and then it is an error.
      await this.#connection.get();
    }
  }

  async load(): Promise<Reply> {
    const found = this.#readable(await this.#twice(load));
    // Before the second format there is nothing to move, and bundlers leave the code of it out.
    if (FORMAT === 1 || found.from === undefined) return found;
    await carry(await this.#connection.get(), this.name, found.from);
    return this.#readable(await this.#twice(load));
  }

  readLog(after: number): Promise<Reply> {
    return this.#twice(async (db) => ({ answer: LOG, parts: await logAbove(db, after) }));
  }

  async readSegments(keys: readonly number[]): Promise<Reply> {
    // A new store has none.
    return keys.length === 0 ? { answer: SEGMENTS } : this.#twice((db) => readSegments(db, keys));
  }

  seal(seal: Seal): Promise<Reply> {
    return this.#twice((db) => sealLog(db, seal));
  }

  clean(fence: number, victims: readonly number[], parts: readonly Uint8Array[]): Promise<Reply> {
    return this.#twice((db) => clean(db, fence, victims, parts));
  }

  async append(records: readonly Uint8Array[], strict: boolean): Promise<Reply> {
    const once = async (): Promise<number> => append(await this.#connection.get(), records, strict);
    // Without waiting where it is open: the browser stores it while this task goes on.
    const { opened } = this.#connection;
    const number = await this.#minded(
      (opened === undefined ? once() : append(opened, records, strict)).catch(async (error: unknown) => {
        this.#mayRepeat(error);
        return (whyOf(error) === "unknown" ? await this.#find(records) : undefined) ?? once();
      }),
    );
    this.#saw(number + records.length - 1);
    return { answer: APPENDED, number };
  }

  async erase(): Promise<void> {
    await this.#connection.erase();
    this.#lastLog = 0;
  }

  close(): void {
    this.#connection.close();
  }

  /** For work that may be repeated: it only reads, or it is refused when it has been done already. */
  async #twice(work: (db: IDBDatabase) => Promise<Reply>): Promise<Reply> {
    const once = async (): Promise<Reply> => work(await this.#connection.get());
    const done = await this.#minded(
      once().catch((error: unknown) => {
        this.#mayRepeat(error);
        return once();
      }),
    );
    if (done.answer === LOADED || done.answer === LOG) this.#saw(done.parts?.at(-1)?.[0] ?? 0);
    return done;
  }

  /** Throws a failure that trying again cannot mend; else lets the connection go. */
  #mayRepeat(error: unknown): void {
    const why = whyOf(error);
    if (why !== "dead" && why !== "unknown") throw error;
    this.#connection.forget();
  }

  async #minded<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (whyOf(error) === "wiped") this.#lastLog = 0;
      throw error;
    }
  }

  #readable(found: Reply): Reply {
    if (found.sealed === undefined || this.#connection.meet !== undefined) return found;
    throw new Failure("sealed");
  }

  #saw(key: number): void {
    this.#lastLog = Math.max(this.#lastLog, key);
  }

  /**
   * The key of the first of these records, if they stand in the log above what this tab has seen. Two tabs do not
   * write the same bytes: a mutation carries ids and stamps, a record of the leader its fence.
   */
  async #find(records: readonly Uint8Array[]): Promise<number | undefined> {
    const log = await logAbove(await this.#connection.get(), this.#lastLog);
    const at = log.findIndex((_, start) => records.every((record, i) => sameBytes(record, log[start + i]?.[1])));
    return log[at]?.[0];
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return a.length === b?.length && a.every((byte, i) => byte === b[i]);
}

/** Puts the records and commits at once; nothing is read. The key is known when the transaction is complete. */
async function append(db: IDBDatabase, records: readonly Uint8Array[], strict: boolean): Promise<number> {
  const [first] = await write(db, ["log"], strict ? "strict" : "relaxed", (store) =>
    records.map((record) => store("log").put(record)),
  );
  return first?.result as number;
}

/** Everything that opening needs, as it was at one moment. */
function load(db: IDBDatabase): Promise<Reply> {
  return read(db, ["meta", "dirs", "log"], async (store) => {
    const meta = (key: number): Promise<unknown> => reply(store("meta").get(key));
    const directories = quiet(partsAbove(store("dirs"), 0));
    const [state, fence, from, vault] = [meta(STATE), meta(FENCE), meta(FROM), meta(VAULT)];
    const log = quiet(partsAbove(store("log"), numberOr0(await meta(UPTO))));
    const summary = await state;
    const number = numberOr0(await fence);
    const moved = await from;
    const [first, second] = [await directories, await log];
    const parts: Part[] = [[0, summary === undefined ? summary : bytes(summary)], ...first, ...second];
    const found: Reply = { answer: LOADED, number, parts, directories: first.length, sealed: await vault };
    return typeof moved === "number" ? { ...found, from: moved } : found;
  });
}

function logAbove(db: IDBDatabase, after: number): Promise<Part[]> {
  return read(db, ["log"], (store) => partsAbove(store("log"), after));
}

/** A deleted record costs time as long as a read passes over it, so each read starts at a known key. */
async function partsAbove(store: IDBObjectStore, after: number): Promise<Part[]> {
  const range = above(after);
  const [keys, values] = [reply(store.getAllKeys(range)), reply<unknown[]>(store.getAll(range))];
  const found = await keys;
  return (await values).map((value, i) => [found[i] as number, bytes(value)]);
}

/** Segments by parallel gets, all as they were at one moment. (`getAll` is three times slower at this size.) */
function readSegments(db: IDBDatabase, keys: readonly number[]): Promise<Reply> {
  return read(db, ["segs"], async (store) => {
    const segments = store("segs");
    const values = await Promise.all(keys.map((key) => reply<unknown>(segments.get(key))));
    const part = (value: unknown, i: number): Part => [
      keys[i] as number,
      value === undefined ? undefined : bytes(value),
    ];
    return { answer: SEGMENTS, parts: values.map(part) };
  });
}

/**
 * Turns log records into segments. The first request's key says whether anything was appended since the engine looked.
 * `relaxed`: a seal that is lost is done again, and what it deletes was durable in the log.
 */
async function sealLog(db: IDBDatabase, { expect, upto, fence, parts }: Seal): Promise<Reply> {
  const [record, state, ...segments] = parts;
  const done = await write(db, ["log", "segs", "dirs", "meta"], "relaxed", async (store) => {
    const [log, meta] = [store("log"), store("meta")];
    const appended = reply(log.put(record));
    const before = reply<unknown>(meta.get(UPTO));
    if ((await appended) !== expect) return undefined;
    const sealedBefore = numberOr0(await before);
    const keys = await add(store, segments);
    meta.put(state, STATE);
    meta.put(upto, UPTO);
    meta.put(fence, FENCE);
    if (upto > sealedBefore) log.delete(above(sealedBefore, upto));
    return keys;
  });
  return written(done);
}

/** Replaces segments by fewer. Without `log` in its scope, so that no append waits for it. */
async function clean(
  db: IDBDatabase,
  fence: number,
  victims: readonly number[],
  parts: readonly Uint8Array[],
): Promise<Reply> {
  const done = await write(db, ["segs", "dirs", "meta"], "relaxed", async (store) => {
    const [segments, directories] = [store("segs"), store("dirs")];
    const fenceNow = reply<unknown>(store("meta").get(FENCE));
    const present = victims.map((victim) => reply(segments.getKey(victim)));
    if (numberOr0(await fenceNow) !== fence) return undefined;
    if ((await Promise.all(present)).includes(undefined)) return undefined;
    for (const victim of victims) {
      segments.delete(victim);
      directories.delete(victim);
    }
    return add(store, parts);
  });
  return written(done);
}

/** Adds segments; each directory record gets the key of its segment. */
async function add(store: Stores, parts: readonly Uint8Array[]): Promise<Part[]> {
  const put = parts.flatMap((part, at) => (at % 2 === 0 ? [reply(store("segs").put(part))] : []));
  const keys = await Promise.all(put);
  keys.forEach((key, i) => store("dirs").put(parts[2 * i + 1], key));
  return keys.map((key) => [key as number]);
}

function written(parts: Part[] | undefined): Reply {
  return parts === undefined ? { answer: REFUSED } : { answer: WRITTEN, parts };
}

function numberOr0(value: unknown): number {
  return typeof value === "number" ? value : 0;
}

/** Stored bytes. What is not bytes was not written by this: its checksum fails like that of a damaged record. */
function bytes(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? value : new Uint8Array();
}
