/**
 * A store whose bytes are sealed on their way to the disk: AES-GCM by WebCrypto, around every transaction of the store
 * in IndexedDB and never inside one. It is loaded only where `encrypt` is given.
 *
 * ```text
 * meta[7]   the header: the database's id, how its key is derived, and the data key, sealed with the app's key
 * a value   226, kind of record, format, id (16 bytes), IV (12 bytes), ciphertext and tag
 * bound to  the database's id, the object store, and the value's first 19 bytes
 * ```
 *
 * The invariants: nothing reaches the inner store unsealed; nothing that was not sealed for this database and this
 * object store is handed to the engine, to which it is damaged. The kind of a log record stays readable, because a move
 * to a newer format asks for it. Keys, sizes and numbers are no secret, nor is the name of the database.
 */
import { DATA, databaseName, FROM, open, VAULT } from "./connection.js";
import { FORMAT } from "./format.js";
import { IndexedDb, STATE } from "./indexeddb.js";
import { SEGMENTS } from "./module.js";
import { dataKey, fresh, Refusal, unlock, type Encrypt, type Encryption, type Header } from "./vault-key.js";
import { read, reply, write, type Stores } from "./request.js";
import type { Part, Reply, Seal, Store } from "./store.js";

type Bytes = Uint8Array<ArrayBuffer>;

/** The first byte of a sealed value: no version of a record. */
const SEALED = 226;
const ID_BYTES = 16;
/** What stands before the IV, and is bound to the ciphertext. */
const HEAD_BYTES = 3 + ID_BYTES;
const IV_BYTES = 12;

/** The object stores, as they are bound to what lies in them. */
const LOG = 1;
const SEGS = 2;
const DIRS = 3;
const META = 4;

/** Records without a body, which a move writes where it has no key: `Lead` and `Moved`. */
const BODILESS = 10;
const OPEN_KINDS = [8, 13];

/** See the module's text. */
export class Vault implements Store {
  readonly kind = "indexeddb";
  readonly #inner: IndexedDb;
  #header: Header | undefined;
  #key!: CryptoKey;
  /** What this tab writes is numbered: what it wrote first cannot be moved behind what it wrote later. */
  readonly #writer = crypto.getRandomValues(new Uint8Array(ID_BYTES / 2));
  #count = 0n;
  /** The ids of segments, as their directories name them. */
  readonly #segments = new Map<number, string>();

  constructor(
    private readonly name: string,
    private readonly encrypt: Encrypt,
    private readonly user: string | null = null,
  ) {
    if ((globalThis.crypto?.subtle as SubtleCrypto | undefined) === undefined) {
      throw new Refusal("insecure-context", "`encrypt` needs WebCrypto: serve the page over https.");
    }
    this.#inner = new IndexedDb(name, (db) => this.#meet(db));
  }

  set lost(lost: () => void) {
    this.#inner.lost = lost;
  }

  open(): Promise<void> {
    return this.#inner.open();
  }

  async load(): Promise<Reply> {
    const { parts = [], directories = 0, ...found } = await this.#inner.load();
    const log = 1 + directories;
    const [[, state] = [0]] = parts;
    const opened: Part[] = [[0, state && (await this.#open(META, state))]];
    for (const [key, bytes] of await this.#openAll(DIRS, parts.slice(1, log))) {
      // A directory begins with the id of its segment.
      const whole = bytes as Uint8Array;
      this.#segments.set(key, hex(whole.subarray(0, ID_BYTES)));
      opened.push([key, whole.subarray(ID_BYTES)]);
    }
    return { ...found, directories, parts: [...opened, ...(await this.#openLog(parts.slice(log)))] };
  }

  async readLog(after: number): Promise<Reply> {
    const found = await this.#inner.readLog(after);
    return { ...found, parts: await this.#openLog(found.parts ?? []) };
  }

  async readSegments(keys: readonly number[]): Promise<Reply> {
    const { parts = [] } = await this.#inner.readSegments(keys);
    return { answer: SEGMENTS, parts: await this.#openAll(SEGS, parts) };
  }

  async append(records: readonly Uint8Array[], strict: boolean): Promise<Reply> {
    return this.#inner.append(await Promise.all(records.map((record) => this.#seal(LOG, record))), strict);
  }

  async seal({ parts: [record, state, ...segments], ...seal }: Seal): Promise<Reply> {
    const first = await Promise.all([this.#seal(LOG, record as Uint8Array), this.#seal(META, state as Uint8Array)]);
    const sealed = await this.#sealSegments(segments);
    return this.#added(sealed, await this.#inner.seal({ ...seal, parts: [...first, ...sealed] }));
  }

  async clean(fence: number, victims: readonly number[], parts: readonly Uint8Array[]): Promise<Reply> {
    const sealed = await this.#sealSegments(parts);
    return this.#added(sealed, await this.#inner.clean(fence, victims, sealed));
  }

  erase(): Promise<void> {
    return this.#inner.erase();
  }

  close(): void {
    this.#inner.close();
  }

  /**
   * Takes a database that was just opened: reads its header, or gives it one while it is empty. True: it is another
   * one than before, and what was sealed for that one must not get here.
   */
  async #meet(db: IDBDatabase): Promise<boolean> {
    const there = await look(db);
    const found = there.header ?? (await this.#before(there.from));
    const before = this.#header;
    if (before !== undefined && found !== undefined && hex(before.id) === hex(found.id)) return false;
    const secret = await this.#secret();
    let header = found ?? (await fresh(secret));
    if (there.header === undefined) header = await introduce(db, header, found !== undefined);
    this.#key = await dataKey(header, await unlock(header, secret));
    this.#header = header;
    this.#segments.clear();
    return before !== undefined;
  }

  /** The header of the older format's database that this one will be filled from. */
  async #before(from: number): Promise<Header | undefined> {
    const old = from > 0 ? await open(databaseName(this.name, from), DATA) : undefined;
    if (old === undefined) return undefined;
    try {
      const { header, used } = await look(old);
      if (header === undefined && used) throw plainError();
      return header;
    } finally {
      old.close();
    }
  }

  async #secret(): Promise<Encryption> {
    try {
      return typeof this.encrypt === "function" ? await this.encrypt(this.user) : this.encrypt;
    } catch (cause) {
      throw new Refusal("wrong-key", "The function `encrypt` gave no key.", { cause });
    }
  }

  async #seal(place: number, bytes: Uint8Array, id: Bytes = this.#newId()): Promise<Bytes> {
    const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
    const head = Uint8Array.of(SEALED, place === LOG ? (bytes[1] as number) : 0, FORMAT, ...id);
    const options = { name: "AES-GCM", iv, additionalData: this.#bound(place, head) };
    return joined(head, iv, new Uint8Array(await crypto.subtle.encrypt(options, this.#key, bytes as Bytes)));
  }

  /** What was not sealed for this place has no bytes: its checksum fails like that of a damaged record. */
  async #open(place: number, bytes: Uint8Array): Promise<Uint8Array> {
    if (bytes[0] !== SEALED) {
      const open = place === LOG && bytes.length === BODILESS && OPEN_KINDS.includes(bytes[1] as number);
      return open ? bytes : new Uint8Array();
    }
    const head = bytes.slice(0, HEAD_BYTES);
    const iv = bytes.slice(HEAD_BYTES, HEAD_BYTES + IV_BYTES);
    const options = { name: "AES-GCM", iv, additionalData: this.#bound(place, head) };
    const ciphertext = bytes.slice(HEAD_BYTES + IV_BYTES);
    return crypto.subtle.decrypt(options, this.#key, ciphertext).then(
      (opened) => new Uint8Array(opened),
      () => new Uint8Array(),
    );
  }

  #bound(place: number, head: Uint8Array): Bytes {
    return joined((this.#header as Header).id, Uint8Array.of(place), head);
  }

  #openAll(place: number, parts: readonly Part[]): Promise<Part[]> {
    return Promise.all(
      parts.map(async ([key, bytes]): Promise<Part> => {
        if (bytes === undefined) return [key];
        const moved = place === SEGS && (this.#segments.get(key) ?? idOf(bytes)) !== idOf(bytes);
        return [key, moved ? new Uint8Array() : await this.#open(place, bytes)];
      }),
    );
  }

  /** What a tab wrote later does not stand before what it wrote earlier, unless somebody put it there. */
  async #openLog(parts: readonly Part[]): Promise<Part[]> {
    const last = new Map<string, string>();
    const opened = await this.#openAll(LOG, parts);
    return opened.map(([key, bytes], i): Part => {
      const sealed = parts[i]?.[1] as Uint8Array;
      if (sealed[0] !== SEALED || bytes?.length === 0) return [key, bytes];
      const [writer, count] = [idOf(sealed).slice(0, ID_BYTES), idOf(sealed).slice(ID_BYTES)];
      if (count <= (last.get(writer) ?? "")) return [key, new Uint8Array()];
      last.set(writer, count);
      return [key, bytes];
    });
  }

  /** Each segment, and its directory with the segment's id before it. */
  async #sealSegments(parts: readonly Uint8Array[]): Promise<Bytes[]> {
    const sealed: Promise<Bytes>[] = [];
    for (let at = 0; at < parts.length; at += 2) {
      const id = this.#newId();
      sealed.push(this.#seal(SEGS, parts[at] as Uint8Array, id));
      sealed.push(this.#seal(DIRS, joined(id, parts[at + 1] as Uint8Array)));
    }
    return Promise.all(sealed);
  }

  #added(sealed: readonly Uint8Array[], done: Reply): Reply {
    done.parts?.forEach(([key], i) => this.#segments.set(key, idOf(sealed[2 * i] as Uint8Array)));
    return done;
  }

  #newId(): Bytes {
    const count = new DataView(new ArrayBuffer(ID_BYTES / 2));
    count.setBigUint64(0, (this.#count += 1n));
    return joined(this.#writer, new Uint8Array(count.buffer));
  }
}

interface Seen {
  readonly header: Header | undefined;
  /** The format that the database is moved from; 0: from none. */
  readonly from: number;
  /** Whether there is anything in it. */
  readonly used: boolean;
}

function look(db: IDBDatabase): Promise<Seen> {
  return read(db, ["log", "meta"], seen);
}

async function seen(store: Stores): Promise<Seen> {
  const meta = (key: number): Promise<unknown> => reply<unknown>(store("meta").get(key));
  const [header, from, state, records] = await Promise.all([
    meta(VAULT),
    meta(FROM),
    meta(STATE),
    reply(store("log").count()),
  ]);
  return { header: header as Header | undefined, from: Number(from ?? 0), used: state !== undefined || records > 0 };
}

/** Puts a header into a database that has none, and returns the one that is there then. */
async function introduce(db: IDBDatabase, header: Header, moved: boolean): Promise<Header> {
  const now = await write(db, ["log", "meta"], "strict", async (store): Promise<Header | "plain"> => {
    const there = await seen(store);
    if (there.header !== undefined) return there.header;
    if (there.used && !moved) return "plain";
    store("meta").put(header, VAULT);
    return header;
  });
  if (now === "plain") throw plainError();
  return now;
}

function plainError(): Refusal {
  return new Refusal(
    "not-encrypted",
    "This store was written without `encrypt`. Open it without, let `db.sync.done()` resolve, and `db.erase()` it; " +
      "then open it with `encrypt`.",
  );
}

function joined(...parts: readonly Uint8Array[]): Bytes {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The id of a sealed value. */
function idOf(sealed: Uint8Array): string {
  return hex(sealed.subarray(3, HEAD_BYTES));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
