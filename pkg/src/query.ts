/**
 * Queries: filters and orders as plain data. A query is a value: building one costs nothing, and queries that ask the
 * same share one live result.
 */
import { TidewireError } from "./errors.js";
import { canonicalJson, type Json } from "./json.js";
import { liveOf, sameItems, type Live, type Source, type SubscribeOptions } from "./live.js";
import type { Session } from "./session.js";
import { topics } from "./topics.js";
import type { OrderPath, Patch, PatchEntries, Row, Where } from "./types.js";
import type { WireQuery, WireResult } from "./wasm/wire.js";
import { bothWhere, normaliseWhere, queryPath } from "./where.js";
import type { Write } from "./write.js";

/** A page of rows. `next` goes into `page({ after })`; it is absent on the last page. */
export interface Page<T> {
  readonly rows: readonly Row<T>[];
  readonly next?: string;
  readonly total?: number;
}

/** Rows together with whether they are all there are: `partial` until the first full pull of the collection. */
export interface RowsView<T> {
  readonly rows: readonly Row<T>[];
  readonly status: "partial" | "complete";
}

/** A list of rows that stays current. */
export interface Query<T> extends Live<readonly Row<T>[]> {
  /** Narrows the query: both filters must hold. */
  where(where: Where<T>): Query<T>;
  /** Orders by a field; a second call orders what is equal. Code-unit order, nulls first, ties by id. */
  orderBy(path: OrderPath<T>, direction?: "asc" | "desc"): Query<T>;
  limit(count: number): Query<T>;
  offset(count: number): Query<T>;
  page(options: { readonly size: number; readonly after?: string }): Live<Page<T>>;
  all(): Live<readonly Row<T>[]>;
  /** How many rows the filter matches, without `limit` and `offset`. */
  count(): Live<number>;
  /** Edits every row that matches now. Resolves with their ids. */
  update(patch: Patch<T> | PatchEntries<T>): Write<readonly string[]>;
  /** Deletes every row that matches now. Resolves with their ids. */
  delete(): Write<readonly string[]>;
}

/** How the hooks reach a query's shared source. */
export const SOURCE = Symbol("tidewire.source");

/** What a query needs of its collection. */
export interface QueryHost {
  readonly session: Session;
  readonly name: string;
  bulk(ids: () => readonly string[], edit: { readonly patch: unknown } | "delete"): Write<readonly string[]>;
}

/** See {@link Query}. */
export class CollectionQuery<T> implements Query<T> {
  readonly #live: Live<readonly Row<T>[]>;

  constructor(
    private readonly host: QueryHost,
    private readonly request: WireQuery,
  ) {
    this.#live = liveOf(() => rowsSource<T>(host.session, request));
  }

  where(where: Where<T>): Query<T> {
    const both = bothWhere(this.request.where, normaliseWhere(where));
    return this.#with(both === undefined ? {} : { where: both });
  }

  orderBy(path: OrderPath<T>, direction: "asc" | "desc" = "asc"): Query<T> {
    if (direction !== "asc" && direction !== "desc")
      throw new TidewireError("bad-query", 'orderBy takes "asc" or "desc".');
    return this.#with({ orderBy: [...(this.request.orderBy ?? []), [queryPath(path as string), direction]] });
  }

  limit(count: number): Query<T> {
    return this.#with({ limit: whole(count, "limit") });
  }

  offset(count: number): Query<T> {
    return this.#with({ offset: whole(count, "offset") });
  }

  page(options: { readonly size: number; readonly after?: string }): Live<Page<T>> {
    const request = {
      ...this.request,
      limit: whole(options.size, "size"),
      ...(options.after === undefined ? {} : { after: options.after }),
    };
    return liveOf(() => pageSource<T>(this.host.session, request));
  }

  all(): Live<readonly Row<T>[]> {
    return this;
  }

  count(): Live<number> {
    const { c, where } = this.request;
    const request: WireQuery = { c, ...(where === undefined ? {} : { where }), limit: 0 };
    const { session } = this.host;
    return liveOf(() => sourceOf<number>("count", session, request, ({ total }) => total, Object.is));
  }

  update(patch: Patch<T> | PatchEntries<T>): Write<readonly string[]> {
    return this.host.bulk(() => ask(this.host.session, this.request).ids, { patch });
  }

  delete(): Write<readonly string[]> {
    return this.host.bulk(() => ask(this.host.session, this.request).ids, "delete");
  }

  peek(): readonly Row<T>[] | undefined {
    return this.#live.peek();
  }

  get(options?: { readonly signal?: AbortSignal }): Promise<readonly Row<T>[]> {
    return this.#live.get(options);
  }

  subscribe(fn: (rows: readonly Row<T>[]) => void, options?: SubscribeOptions): () => void {
    return this.#live.subscribe(fn, options);
  }

  /** The rows and whether they are complete, for the hooks. */
  [SOURCE](): Source<RowsView<T>> {
    const { session, name } = this.host;
    return session.source<RowsView<T>>({
      key: `view/${textOf(this.request)}`,
      topics: [topics.collection(name), topics.status],
      compute: () =>
        Object.freeze({ rows: rowsSource<T>(session, this.request).current(), status: loadState(session, name) }),
      same: (old, fresh) => old.rows === fresh.rows && old.status === fresh.status,
    });
  }

  #with(part: Partial<WireQuery>): CollectionQuery<T> {
    return new CollectionQuery<T>(this.host, { ...this.request, ...part });
  }
}

/** Whether a collection's first full pull is done; a database without a server has nothing to wait for. */
export function loadState(session: Session, collection: string): "partial" | "complete" {
  const complete = session.config.url === null || session.status.current().loaded.includes(collection);
  return complete ? "complete" : "partial";
}

function rowsSource<T>(session: Session, request: WireQuery): Source<readonly Row<T>[]> {
  return sourceOf("rows", session, request, ({ ids }) => rowsOf<T>(session, request.c, ids), sameItems);
}

function pageSource<T>(session: Session, request: WireQuery): Source<Page<T>> {
  const page = ({ ids, next, total }: WireResult): Page<T> =>
    Object.freeze({ rows: rowsOf<T>(session, request.c, ids), total, ...(next == null ? {} : { next }) });
  const same = (old: Page<T>, fresh: Page<T>): boolean =>
    old.next === fresh.next && old.total === fresh.total && sameItems(old.rows, fresh.rows);
  return sourceOf("page", session, request, page, same);
}

/** What is made of the answer to a request. */
function sourceOf<T>(
  what: string,
  session: Session,
  request: WireQuery,
  make: (answer: WireResult) => T,
  same: (old: T, fresh: T) => boolean,
): Source<T> {
  return session.source<T>({
    key: `${what}/${textOf(request)}`,
    topics: [topics.collection(request.c)],
    compute: () => make(ask(session, request)),
    same,
  });
}

function rowsOf<T>(session: Session, collection: string, ids: readonly string[]): readonly Row<T>[] {
  return Object.freeze([...session.rows.list(collection, ids)]) as unknown as readonly Row<T>[];
}

function ask(session: Session, request: WireQuery): WireResult {
  return JSON.parse(session.call((client) => client.query(JSON.stringify(request)))) as WireResult;
}

function textOf(request: WireQuery): string {
  return canonicalJson(request as unknown as Json);
}

function whole(count: number, name: string): number {
  if (!Number.isSafeInteger(count) || count < 0)
    throw new TidewireError("bad-query", `${name} takes a whole number of at least 0.`);
  return count;
}
