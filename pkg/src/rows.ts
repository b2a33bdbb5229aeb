/**
 * Row objects: frozen, one per entity, with an identity that changes exactly when the row's JSON changes.
 *
 * A row lives as long as somebody holds it (WeakRef), and the last few thousand read ones a little longer. Rows stay
 * valid until the core says that they changed; then they are read again and compared.
 */
import { deepFreeze, type JsonObject, withoutKeys } from "./json.js";
import type { Meta } from "./types.js";

/** A row as the cache knows it: any entity. */
export type AnyRow = JsonObject & { readonly id: string } & Meta;

/** Where rows come from; `undefined` while the core is not open. */
export interface RowReader {
  row(collection: string, id: string): string | undefined;
  rows(collection: string, ids: readonly string[]): string;
}

interface Entry {
  readonly ref: WeakRef<AnyRow>;
  stale: boolean;
}

const RECENT_MAX = 2_000;
/** From this many rows on they are asked for in one call. */
const BULK_MIN = 16;

/** The rows of one database. */
export class RowCache {
  readonly #entries = new Map<string, Map<string, Entry>>();
  readonly #recent = new Set<AnyRow>();
  readonly #remote = new Map<string, number>();
  /** Rows that somebody was given without some fields. */
  readonly #missing = new Set<string>();
  /** Ids that became another's, by that one, as far as somebody asked for them. */
  readonly #aliases = new Map<string, Set<string>>();
  /** Entries whose row is gone are looked for when there are twice as many entries as were left the last time. */
  #sweepAt = RECENT_MAX * 2;

  constructor(private readonly reader: RowReader) {}

  /** One row. */
  get(collection: string, id: string): AnyRow | undefined {
    const entry = this.#collection(collection).get(id);
    const known = entry?.ref.deref();
    if (known !== undefined && entry?.stale === false) return known;
    const text = this.reader.row(collection, id);
    if (text !== undefined) return this.#keep(collection, id, JSON.parse(text) as AnyRow, known);
    this.#collection(collection).delete(id);
    return undefined;
  }

  /** The data of one row, for whoever looks at it once. */
  entity(collection: string, id: string): JsonObject | undefined {
    const entry = this.#collection(collection).get(id);
    const known = entry?.stale === false ? entry.ref.deref() : undefined;
    const row = known ?? parsed(this.reader.row(collection, id));
    if (row !== undefined) this.#note(collection, id, row);
    return row && entityOf(row);
  }

  /** Whether somebody may hold the row as it was while fields of it were missing. */
  wasMissing(collection: string, id: string): boolean {
    return this.#missing.has(`${collection}/${id}`);
  }

  /** A row that is known before the store is open. */
  early(collection: string, id: string, text: string): AnyRow {
    const known = this.#collection(collection).get(id)?.ref.deref();
    return this.#keep(collection, id, JSON.parse(text) as AnyRow, known);
  }

  /** Several rows in the order of their ids; `undefined` where there is none. */
  list(collection: string, ids: readonly string[]): readonly (AnyRow | undefined)[] {
    const entries = this.#collection(collection);
    const fresh = (id: string): AnyRow | undefined => {
      const entry = entries.get(id);
      return entry?.stale === false ? entry.ref.deref() : undefined;
    };
    const held = ids.map(fresh);
    const missing = ids.filter((_, index) => held[index] === undefined);
    const read = new Map<string, AnyRow>();
    if (missing.length >= BULK_MIN) {
      const parsed = JSON.parse(this.reader.rows(collection, missing)) as (AnyRow | null)[];
      missing.forEach((id, index) => {
        const row = parsed[index];
        if (row) read.set(id, this.#keep(collection, id, row, entries.get(id)?.ref.deref()));
      });
    } else {
      for (const id of missing) {
        const row = this.get(collection, id);
        if (row !== undefined) read.set(id, row);
      }
    }
    return ids.map((id, index) => held[index] ?? read.get(id));
  }

  /** How often rows of a collection were changed by the server's word. */
  remoteChanges(collection: string): number {
    return this.#remote.get(collection) ?? 0;
  }

  /** These rows may have changed. */
  invalidate(collection: string, ids: Iterable<string>, origin: "local" | "remote" = "local"): void {
    const entries = this.#collection(collection);
    if (origin === "remote") this.#remote.set(collection, this.remoteChanges(collection) + 1);
    for (const id of entries.size > 0 ? ids : []) {
      const entry = entries.get(id);
      if (entry !== undefined) entry.stale = true;
    }
  }

  /** The ids under which somebody asked for rows that are these now. */
  asked(collection: string, ids: readonly string[]): readonly string[] {
    return this.#aliases.size === 0 ? [] : ids.flatMap((id) => [...(this.#aliases.get(`${collection}/${id}`) ?? [])]);
  }

  /** Any row may have changed: there is a fresh instance behind the reader. */
  invalidateAll(): void {
    for (const entries of this.#entries.values()) for (const entry of entries.values()) entry.stale = true;
  }

  #keep(collection: string, id: string, row: AnyRow, known: AnyRow | undefined): AnyRow {
    const entries = this.#collection(collection);
    if (row.id !== id) {
      const key = `${collection}/${row.id}`;
      this.#aliases.set(key, (this.#aliases.get(key) ?? new Set()).add(id));
      return this.#keep(collection, row.id, row, entries.get(row.id)?.ref.deref());
    }
    this.#note(collection, id, row);
    const same = known !== undefined && JSON.stringify(known) === JSON.stringify(row);
    const kept = same ? known : deepFreeze(row);
    const entry = entries.get(id);
    if (same && entry !== undefined) entry.stale = false;
    else {
      if (entries.size >= this.#sweepAt) this.#sweep(entries);
      entries.set(id, { ref: new WeakRef(kept), stale: false });
    }
    this.#recent.delete(kept);
    this.#recent.add(kept);
    if (this.#recent.size > RECENT_MAX) this.#recent.delete(this.#recent.values().next().value as AnyRow);
    return kept;
  }

  #note(collection: string, id: string, { $missing }: AnyRow): void {
    if ($missing !== undefined) this.#missing.add(`${collection}/${id}`);
  }

  #sweep(entries: Map<string, Entry>): void {
    for (const [id, { ref }] of entries) if (ref.deref() === undefined) entries.delete(id);
    this.#sweepAt = Math.max(RECENT_MAX, entries.size) * 2;
  }

  #collection(name: string): Map<string, Entry> {
    let entries = this.#entries.get(name);
    if (entries === undefined) {
      entries = new Map();
      this.#entries.set(name, entries);
    }
    return entries;
  }
}

function parsed(text: string | undefined): AnyRow | undefined {
  return text === undefined ? undefined : (JSON.parse(text) as AnyRow);
}

const META_KEYS = ["$sync", "$rev", "$updatedAt"] as const;
const ROW_KEYS: ReadonlySet<string> = new Set(["id", "$missing", ...META_KEYS]);

/** What Tidewire knows about a row; works on a spread copy of one, too. */
export function meta(row: Meta): Meta {
  const { $sync, $rev, $updatedAt, $missing } = row;
  return Object.freeze({ $sync, $rev, $updatedAt, ...($missing && { $missing }) });
}

/** Whether a key of a row is not data of the entity. */
export function isRowKey(key: string): boolean {
  return ROW_KEYS.has(key);
}

/** The data of a row: without the id and what Tidewire knows about it. */
export function entityOf(row: JsonObject): JsonObject {
  return withoutKeys(row, ROW_KEYS);
}
