/**
 * Rows, and first pages of queries, that somebody asks for while the store opens. The engine may know one before it has
 * read everything; who asks for another waits until the store is open.
 *
 * Invariant: an early row or page is what the open store would show. So there is none while writes of this tab wait for
 * the store: the engine has not heard of them.
 */
import type { AnyRow, RowCache } from "./rows.js";
import type { EarlyEvent, WireClient, WireQuery } from "./wasm/wire.js";

/** What was found: a row, or that there is none. */
export interface EarlyRow {
  readonly row: AnyRow | undefined;
}

/** The first rows of a query, and what an open store would say with them. */
export interface EarlyPage {
  readonly items: readonly AnyRow[];
  readonly total: number;
  readonly next?: string | undefined;
}

/** What this needs of a session. */
interface Opening {
  readonly ready: boolean;
  readonly rows: RowCache;
  readonly writes: { readonly busy: boolean };
  whenOpen(signal?: AbortSignal): Promise<void>;
}

interface Asked {
  readonly collection: string;
  readonly id: string;
  resolve(found: never): void;
}

/** See the module's text. */
export class EarlyRows {
  #asked: Asked[] = [];
  #client: WireClient | undefined;

  constructor(private readonly session: Opening) {}

  /** Resolves with what the engine finds early, or with nothing when the store is open. */
  row(collection: string, id: string): Promise<EarlyRow | undefined> {
    return this.#ask(collection, id);
  }

  /** The same of the first rows of a query. */
  page(request: WireQuery, signal?: AbortSignal): Promise<EarlyPage | undefined> {
    return this.#ask("", JSON.stringify(request), signal);
  }

  /** A client has begun to open its store. */
  async during(opening: Promise<unknown>, client: WireClient): Promise<void> {
    this.#client = client;
    for (const { collection, id } of this.#asked) client.want(collection, id);
    await opening.finally(() => {
      if (this.#client === client) this.#client = undefined;
    });
  }

  /** The engine knows a row (null: that there is none), or a page. */
  hear(event: EarlyEvent): void {
    const { rows } = this.session;
    if (event.type === "row") {
      const { collection, id, row: text } = event;
      this.#answer(collection, id, () => ({ row: text === null ? undefined : rows.early(collection, id, text) }));
      return;
    }
    const { query, items, total, next } = event;
    const { c } = JSON.parse(query) as WireQuery;
    const row = (id: string, at: number): AnyRow => rows.early(c, id, event.rows[at] as string);
    this.#answer("", query, () => ({ items: Object.freeze(items.map(row)), total, next }));
  }

  #ask<T>(collection: string, id: string, signal?: AbortSignal): Promise<T | undefined> {
    const open = this.session.whenOpen(signal);
    if (this.session.ready) return open.then(() => undefined);
    this.#client?.want(collection, id);
    return new Promise((resolve, reject) => {
      const asked = { collection, id, resolve };
      this.#asked.push(asked);
      const leave = (): void => void (this.#asked = this.#asked.filter((other) => other !== asked));
      open.finally(leave).then(() => resolve(undefined), reject);
    });
  }

  #answer(collection: string, id: string, make: () => EarlyRow | EarlyPage): void {
    // What waits to be written is not in it.
    if (this.session.writes.busy || this.session.ready) return;
    const found = make() as never;
    for (const asked of this.#asked) if (asked.collection === collection && asked.id === id) asked.resolve(found);
  }
}
