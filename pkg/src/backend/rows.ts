/**
 * What is known of the backend's rows: what the engine's log holds, and what this tab has learned since.
 *
 * Nothing here has to outlive the tab. A row's version is kept in the log together with its document, in the groups of
 * the row: they are opaque to the engine and no part of the document, so nothing shows, queries, exports or edits them.
 */
import { isEqual } from "../diff/document.js";
import { cleanObject, withoutKeys, type JsonObject } from "../json.js";
import type { PeerEngine } from "../wasm/wire.js";
import type { Row } from "./decide.js";
import type { BackendRow } from "./types.js";

/** A row that the engine may not have yet. */
export interface KnownRow extends Row {
  readonly c: string;
  readonly id: string;
  /** The replica whose edit made it, if nothing else is new in it. */
  readonly by?: string | undefined;
}

/** Entities that were deleted, of which the last value is kept for an edit that arrives later. */
const GRAVES_MAX = 500;
/** Ids in one question to the engine. */
const ASK_MAX = 500;
/** A group has at most 128 bytes. */
const GROUP_LENGTH = 120;
const ID_KEY = new Set(["id"]);

interface Confirmed {
  readonly rev: number;
  readonly at: number;
  readonly g: readonly string[];
  readonly doc: JsonObject;
}

/** See the module's text. */
export class Rows {
  /** The highest revision that was given out. */
  seq = 0;
  /** Whether the backend's rows have versions. */
  versioned = false;
  /** Rows newer than what the engine has. */
  readonly #known = new Map<string, KnownRow>();
  readonly #graves = new Map<string, KnownRow>();
  /** Rows that are being stored, and when storing one ended, by {@link Rows.tick}. */
  readonly #busy = new Map<string, Promise<unknown>>();
  readonly #ended = new Map<string, number>();
  #ticks = 0;

  constructor(private readonly engine: PeerEngine) {}

  /** A pull from `cursor` begins. What it need not bring any more is forgotten. */
  begin(cursor: number): void {
    this.seq = Math.max(this.seq, cursor, this.#ask("_", []).seq ?? 0);
    this.#ended.clear();
    const known = [...this.#known.values()];
    for (const c of new Set(known.map((row) => row.c))) {
      const mine = known.filter((row) => row.c === c);
      const stand = this.#confirmed(c, mine.map(({ id }) => id));
      mine.forEach((row, index) => {
        const confirmed = stand[index] ?? undefined;
        const shown = confirmed === undefined ? row.deleted && row.rev <= cursor : confirmed.rev >= row.rev;
        if (shown) this.#known.delete(keyOf(c, row.id));
      });
    }
  }

  /** The rows that a pull from `cursor` has to bring. */
  above(cursor: number): readonly KnownRow[] {
    return [...this.#known.values()].filter((row) => row.rev > cursor);
  }

  /** A row as it stands, by all that is known. */
  newest(c: string, id: string): Row | undefined {
    const known = this.#known.get(keyOf(c, id));
    const confirmed = this.#confirmed(c, [id])[0] ?? undefined;
    if (confirmed === undefined) return known ?? this.#graves.get(keyOf(c, id));
    return known !== undefined && known.rev > confirmed.rev ? known : rowOf(confirmed);
  }

  /** Takes in a row that was read or stored just now. */
  put(row: Omit<KnownRow, "rev">): KnownRow {
    this.versioned ||= row.version !== undefined;
    const known = { ...row, rev: (this.seq += 1) };
    this.#known.delete(keyOf(row.c, row.id));
    this.#known.set(keyOf(row.c, row.id), known);
    return known;
  }

  /**
   * Which rows of a page are news, as changes at a revision of their own. `doubtful`: one of them was being stored
   * after `started`, so that nobody can say which is newer; the page has to be read again.
   */
  take(
    c: string,
    page: readonly BackendRow[],
    started: number,
    bad: (id: unknown, why: unknown) => void,
  ): { readonly news: readonly KnownRow[]; readonly doubtful: boolean } {
    let doubtful = false;
    const rev = this.seq + 1;
    const rows = page.flatMap((row) => readRow(c, row, bad));
    const stand = this.#confirmed(c, rows.map(({ id }) => id));
    const news = rows.flatMap((row, index): KnownRow[] => {
      const key = keyOf(c, row.id);
      const confirmed = stand[index] ?? undefined;
      const known = this.#known.get(key);
      const now = known ?? (confirmed === undefined ? undefined : rowOf(confirmed));
      this.versioned ||= row.version !== undefined;
      if (isSame(row, now)) return [];
      if (this.#busy.has(key) || (this.#ended.get(key) ?? 0) > started) {
        doubtful = true;
        return [];
      }
      // Read from a copy of the backend that lags behind.
      if (row.updatedAt !== undefined && now?.updatedAt !== undefined && row.updatedAt < now.updatedAt) return [];
      this.#known.delete(key);
      const fresh = { ...row, rev };
      if (row.deleted && now !== undefined) this.#bury(key, { ...fresh, value: now.value });
      return [fresh];
    });
    if (news.length > 0) this.seq = rev;
    return { news, doubtful };
  }

  /** The rows of a collection that are here and not among `seen`, as tombstones. */
  gone(c: string, seen: ReadonlySet<string>, started: number): readonly KnownRow[] {
    const { items: ids } = JSON.parse(this.engine.query({ c }) ?? '{"items":[]}') as { items: readonly string[] };
    const missing = ids.filter((id) => !seen.has(id) && (this.#ended.get(keyOf(c, id)) ?? 0) <= started);
    const free = missing.filter((id) => !this.#busy.has(keyOf(c, id)) && !this.#known.has(keyOf(c, id)));
    const stand = this.#confirmed(c, free);
    const tombstones = free.filter((_, index) => stand[index]).map((id) => ({ id, deleted: true }));
    return this.take(c, tombstones, started, () => undefined).news;
  }

  /** Stores one row after the other: waits until nobody else does, and says when it ended. */
  async alone<T>(c: string, id: string, work: () => Promise<T>): Promise<T> {
    const key = keyOf(c, id);
    while (this.#busy.has(key)) await this.#busy.get(key);
    const working = work();
    const over = working.then(
      () => undefined,
      () => undefined,
    );
    this.#busy.set(key, over);
    try {
      return await working;
    } finally {
      this.#busy.delete(key);
      this.#ended.set(key, this.tick());
    }
  }

  /** Orders what begins and ends in this tab. */
  tick(): number {
    return (this.#ticks += 1);
  }

  #bury(key: string, row: KnownRow): void {
    this.#graves.delete(key);
    this.#graves.set(key, row);
    if (this.#graves.size > GRAVES_MAX) this.#graves.delete(this.#graves.keys().next().value as string);
  }

  #confirmed(c: string, ids: readonly string[]): readonly (Confirmed | null)[] {
    const pieces = Array.from({ length: Math.ceil(ids.length / ASK_MAX) }, (_, at) =>
      ids.slice(at * ASK_MAX, (at + 1) * ASK_MAX),
    );
    return pieces.flatMap((piece) => this.#ask(c, piece).rows ?? []);
  }

  /** Rows, or without ids the highest revision that the engine knows. */
  #ask(c: string, ids: readonly string[]): { readonly seq?: number; readonly rows?: readonly (Confirmed | null)[] } {
    const text = this.engine.command({ do: "confirmed", c, ids });
    if (text === undefined) throw new Error("the database was closed");
    return JSON.parse(text) as { seq?: number; rows?: (Confirmed | null)[] };
  }
}

/** A row as a line of a pull. */
export function changeOf({ id, c, rev, by, deleted, value, version, updatedAt }: KnownRow): object {
  const at = updatedAt ?? Date.now();
  const g = [updatedAt === undefined ? "-" : "t", ...packed(version)];
  const more = { ...(by !== undefined && { by }), g, ...(!deleted && { doc: value }) };
  return { id, c, rev, at: Math.max(0, Math.floor(at)), ...more };
}

/** One name for an entity. */
export function keyOf(c: string, id: string): string {
  return `${c}/${id}`;
}

/** A row of the backend, checked; `id` is no field. */
export function readRow(
  c: string,
  given: BackendRow,
  bad: (id: unknown, why: unknown) => void,
): Omit<KnownRow, "rev">[] {
  try {
    const { id, version, updatedAt, deleted = false } = given;
    if (typeof id !== "string" || id === "") throw new Error("a row needs an `id`, a text that is not empty");
    if (version !== undefined && typeof version !== "string") throw new Error("`version` is a text");
    if (updatedAt !== undefined && !Number.isFinite(updatedAt)) throw new Error("`updatedAt` is a number");
    const value = deleted ? {} : withoutKeys(cleanObject(given.value), ID_KEY);
    return [{ c, id, version, updatedAt, deleted, value }];
  } catch (error) {
    bad((given as Partial<BackendRow> | null)?.id, error);
    return [];
  }
}

function rowOf({ rev, at, g, doc }: Confirmed): Row {
  const [clock, ...chunks] = g;
  const version = chunks.length === 0 ? undefined : decodeURIComponent(chunks.map((chunk) => chunk.slice(1)).join(""));
  return { rev, value: doc, deleted: false, version, updatedAt: clock === "t" ? at : undefined };
}

/** A version as names of groups: texts of bounded length. */
function packed(version: string | undefined): readonly string[] {
  if (version === undefined) return [];
  const text = encodeURIComponent(version);
  const length = Math.max(1, Math.ceil(text.length / GROUP_LENGTH));
  return Array.from({ length }, (_, at) => `v${text.slice(at * GROUP_LENGTH, (at + 1) * GROUP_LENGTH)}`);
}

function isSame(row: Omit<KnownRow, "rev">, now: Row | undefined): boolean {
  if (now === undefined || now.deleted || row.deleted) return row.deleted && (now === undefined || now.deleted);
  return row.version === undefined ? isEqual(row.value, now.value) : row.version === now.version;
}
