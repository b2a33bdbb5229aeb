/**
 * The move from the database of an older format to that of this release (rule 5). Bytes of records are copied, not
 * their meaning; what the new format reads no more is to be changed on the way.
 *
 * ```text
 * old log   1 … M-1   Moved at M   commits of tabs that have not seen it
 * new log   1 … M-1   Lead at M+1  and on; those commits, once each
 * ```
 *
 * The invariants: the new database is used only when `Moved` ends the old log and everything before it is here; until
 * then a copy may begin again at any time, in any tab. Each commit behind `Moved` is taken over in the transaction
 * that says so.
 */
import { DATA, databaseName, FROM, MARK, open, point, remove, VAULT } from "./connection.js";
import { FORMAT } from "./format.js";
import { above, quiet, read, reply, write, type Stores } from "./request.js";

/** Records without a body, as the core writes them (`core/tests/rules/moved.rs`). */
const MOVED = Uint8Array.of(1, 13, 219, 187, 6, 46, 192, 139, 5, 153);
const LEAD = Uint8Array.of(1, 8, 151, 55, 129, 172, 107, 117, 189, 169);
/** The kind of a record is its second byte. */
const COMMIT_KIND = 1;
const MOVED_KIND = 13;

/** When the new database began, in `meta`. */
const BEGAN = 6;
/** Afterwards no tab of the older release is looked for any more, and its database goes. */
const KEPT_MS = 30 * 24 * 3_600_000;
/** How long a tab without locks lets another one copy, at the most. */
const PAUSE_MS = 500;
/** Segments read at once. */
const WAVE = 64;

type Pair = readonly [key: number, value: unknown];

/** The old database at one moment. */
interface Seen {
  readonly segments: readonly number[];
  readonly dirs: readonly Pair[];
  readonly meta: readonly Pair[];
  /** Up to `Moved`. */
  readonly log: readonly Pair[];
  readonly last: number;
  readonly moved: number | undefined;
}

/** Does what is left to do of the move from `format`: a copy, or what came late. */
export async function carry(to: IDBDatabase, store: string, format: number): Promise<void> {
  const [name, own] = [databaseName(store, format), databaseName(store)];
  const work = async (): Promise<void> => {
    const live = (await metaOf(to, MARK)) >= 1;
    // One that is not there yet may be made any time by its release: then it begins with its end.
    const old = await open(name, DATA, live ? undefined : 0);
    try {
      if (old !== undefined && live) await write(old, ["segs", "dirs"], "relaxed", dropSegments);
      if (old !== undefined && !live) hint(name, await copyAll(old, to, store));
      if (old !== undefined) hint(own, await takeLate(old, to));
    } finally {
      old?.close();
    }
    await point(store, () => FORMAT);
    if (Date.now() - (await metaOf(to, BEGAN)) > KEPT_MS) {
      await write(to, ["meta"], "relaxed", (stores) => stores("meta").delete(FROM));
      quiet(remove(name));
    }
  };
  const locks = typeof navigator === "object" ? (navigator.locks as LockManager | undefined) : undefined;
  await (locks === undefined ? work() : locks.request(`${own}:move`, work));
}

/** As `copy`, after what came late to the old database's own move. */
async function copyAll(old: IDBDatabase, to: IDBDatabase, store: string): Promise<number> {
  const before = await metaOf(old, FROM);
  const older = before > 0 ? await open(databaseName(store, before), DATA) : undefined;
  if (older !== undefined) await takeLate(older, old).finally(() => older.close());
  return copy(old, to);
}

/** Copies until everything before `Moved` is here. Returns its key. */
async function copy(old: IDBDatabase, to: IDBDatabase): Promise<number> {
  for (;;) {
    // Where there are no locks another tab may copy as well: of two, the one whose stamp is there goes on.
    const stamp = Math.random() || 0.5;
    const seen = await look(old);
    if (await fill(old, to, seen, stamp)) {
      const moved = await end(old, seen);
      if (moved) await begin(to, stamp, moved);
    }
    const mark = await metaOf(to, MARK);
    if (mark >= 1) return mark;
    if (mark !== stamp) await new Promise((resolve) => setTimeout(resolve, Math.random() * PAUSE_MS));
  }
}

function look(old: IDBDatabase): Promise<Seen> {
  return read(old, ["log", "segs", "dirs", "meta"], async (store) => {
    const segments = reply(store("segs").getAllKeys()) as Promise<number[]>;
    const [dirs, meta, log] = await Promise.all(["dirs", "meta", "log"].map((name) => pairs(store(name))));
    const moved = log?.find(([, value]) => kindOf(value) === MOVED_KIND)?.[0];
    const before = (log ?? []).filter(([key]) => moved === undefined || key < moved);
    const last = before.at(-1)?.[0] ?? 0;
    // What the old database says of a move of its own ends here; its keys are needed on.
    const summary = (meta ?? []).filter(([key]) => key < FROM || key === VAULT);
    return { segments: await segments, dirs: dirs ?? [], meta: summary, log: before, last, moved };
  });
}

/** Makes the new database what was seen of the old one. False: something changed under it. */
async function fill(old: IDBDatabase, to: IDBDatabase, seen: Seen, stamp: number): Promise<boolean> {
  const wanted = new Set(seen.segments);
  const there = await write(to, ["segs", "meta"], "relaxed", async (store) => {
    if ((await metaIn(store)) >= 1) return undefined;
    store("meta").put(stamp, MARK);
    const keys = (await reply(store("segs").getAllKeys())) as number[];
    for (const key of keys) if (!wanted.has(key)) store("segs").delete(key);
    return keys;
  });
  if (there === undefined) return false;
  for (const key of there) wanted.delete(key);
  const missing = [...wanted];
  for (let at = 0; at < missing.length; at += WAVE) {
    const keys = missing.slice(at, at + WAVE);
    const get = (store: Stores): Promise<unknown[]> =>
      Promise.all(keys.map((key) => reply<unknown>(store("segs").get(key))));
    const values = await read(old, ["segs"], get);
    if (values.includes(undefined)) return false;
    await write(to, ["segs"], "relaxed", (store) => values.map((value, i) => store("segs").put(value, keys[i])));
  }
  const filled = await write(to, ["log", "dirs", "meta"], "relaxed", async (store) => {
    if ((await metaIn(store)) !== stamp) return undefined;
    for (const name of ["log", "dirs"]) store(name).clear();
    for (const name of ["log", "dirs", "meta"] as const)
      for (const [key, value] of seen[name]) store(name).put(value, key);
    return true;
  });
  return filled === true;
}

/**
 * Ends the old log, unless its segments are others than those that were seen. Returns the key of `Moved`; 0 if there is
 * something before it that was not seen: a busy tab would else put it off for ever.
 */
function end(old: IDBDatabase, { segments, last, moved }: Seen): Promise<number | undefined> {
  return write(old, ["log", "segs"], "strict", async (store) => {
    const keys = reply(store("segs").getAllKeys());
    const key = moved ?? ((await reply(store("log").put(MOVED))) as number);
    // A sweep writes no record, but other segments.
    if ((await keys).join() !== segments.join()) return undefined;
    return moved !== undefined || key === last + 1 ? key : 0;
  });
}

/** From here on the new database is the one. Numbers go on where the old log ended. */
async function begin(to: IDBDatabase, stamp: number, moved: number): Promise<void> {
  await write(to, ["log", "meta"], "strict", async (store) => {
    if ((await metaIn(store)) !== stamp) return undefined;
    store("log").put(LEAD, moved + 1);
    store("meta").put(Date.now(), BEGAN);
    return store("meta").put(moved, MARK);
  });
}

/** Takes over what tabs of the older release have committed behind `Moved`. Returns the last key that it got here. */
async function takeLate(old: IDBDatabase, to: IDBDatabase): Promise<number | undefined> {
  const mark = await metaOf(to, MARK);
  const late = await read(old, ["log"], (store) => pairs(store("log"), mark));
  const last = late.at(-1)?.[0];
  if (last === undefined) return undefined;
  const taken = await write(to, ["log", "meta"], "strict", async (store) => {
    if ((await metaIn(store)) !== mark) return undefined;
    store("meta").put(last, MARK);
    const commits = late.filter(([, value]) => kindOf(value) === COMMIT_KIND);
    return commits.map(([, value]) => store("log").put(value));
  });
  return taken?.at(-1)?.result as number | undefined;
}

/** A later open has found the new database whole: of the old one its log is enough. */
function dropSegments(store: Stores): boolean {
  for (const name of ["segs", "dirs"]) store(name).clear();
  return true;
}

function metaOf(db: IDBDatabase, key: number): Promise<number> {
  return read(db, ["meta"], (store) => metaIn(store, key));
}

async function metaIn(store: Stores, key = MARK): Promise<number> {
  return (await reply<number | undefined>(store("meta").get(key))) ?? 0;
}

async function pairs(store: IDBObjectStore, after = 0): Promise<Pair[]> {
  const [keys, values] = [reply(store.getAllKeys(above(after))), reply<unknown[]>(store.getAll(above(after)))];
  const found = await values;
  return (await keys).map((key, i) => [key as number, found[i]]);
}

/** Whether it is packed makes no difference. */
function kindOf(record: unknown): number | undefined {
  return record instanceof Uint8Array ? (record[1] as number) & 0x7f : undefined;
}

/** Tells the tabs of a database to read its log up to a key, in the form of `Message::Written`. */
function hint(name: string, key: number | undefined): void {
  if (key === undefined || typeof BroadcastChannel !== "function") return;
  const message = new DataView(new ArrayBuffer(9));
  message.setUint8(0, 1);
  message.setBigUint64(1, BigInt(key), true);
  const channel = new BroadcastChannel(name);
  channel.postMessage(new Uint8Array(message.buffer));
  channel.close();
}
