/**
 * Queries: filters and orders as plain data. A query is a value: building one costs nothing, and queries that ask the
 * same share one live result.
 */
import { changesOf, type Changes } from "./changes.js";
import { TidewireError } from "./errors.js";
import { foldOf, groupsOf, type Grouped } from "./folds.js";
import { liveOf, type Live, type Source, type SubscribeOptions } from "./live.js";
import type { PathValue } from "./path.js";
import type { Include } from "./refs.js";
import type { Session } from "./session.js";
import { idsNow, pageSource, rowsSource, textOf, type Page, type Question } from "./sources.js";
import { topics } from "./topics.js";
import type { FieldPath, NumberPath, OrderPath, Patch, PatchEntries, Row, Where } from "./types.js";
import type { WireQuery } from "./wasm/wire.js";
import { bothWhere, normaliseWhere, queryPath } from "./where.js";
import type { Write } from "./write.js";

/** Rows together with whether they are all there are: `partial` until the first full pull of the collection. */
export interface RowsView<R> {
  readonly rows: readonly R[];
  readonly status: "partial" | "complete";
}

/** What a bulk edit did. */
export interface BulkResult {
  /** The rows that matched. */
  readonly ids: readonly string[];
  /** One transaction, which the server accepts or refuses as a whole. Over 500 rows it decides about each. */
  readonly atomic: boolean;
}

/** A list of rows that stays current. `R` is a row with what it includes, `N` what could be included. */
export interface Query<T, R = Row<T>, N = {}> extends Live<readonly R[]> {
  /** Narrows the query: both filters must hold. */
  where(where: Where<T>): Query<T, R, N>;
  /** Orders by a field; a second call orders what is equal. Code-unit order, nulls first, ties by id. */
  orderBy(path: OrderPath<T>, direction?: "asc" | "desc"): Query<T, R, N>;
  limit(count: number): Query<T, R, N>;
  offset(count: number): Query<T, R, N>;
  /** Adds what a declared reference leads to: the row or null, or all rows that refer to this one. */
  include<K extends keyof N & string>(name: K): Query<T, R & Pick<N, K>, N>;
  page(options: { readonly size: number; readonly after?: string }): Live<Page<R>>;
  all(): Live<readonly R[]>;
  /** How many rows the filter matches. This and what follows look at all of them, without `limit` and `offset`. */
  count(): Live<number>;
  /** The sum of the numbers at a path, exact and rounded once; 0 if there are none. */
  sum(path: NumberPath<T>): Live<number>;
  /** That sum by their count; null if there are none. */
  avg(path: NumberPath<T>): Live<number | null>;
  /** The first value in the order of `orderBy` that is not null. */
  min<P extends FieldPath<T>>(path: P): Live<NonNullable<PathValue<T, P>> | null>;
  max<P extends FieldPath<T>>(path: P): Live<NonNullable<PathValue<T, P>> | null>;
  /** Counts the rows of each value of a field, in the order of these values. */
  groupBy<P extends FieldPath<T>>(path: P): Grouped<T, PathValue<T, P>>;
  /** Calls `fn` with all rows as `added`, and then with what is different. */
  subscribeChanges(fn: (changes: Changes<R>) => void, options?: SubscribeOptions): () => void;
  /** Edits every row that matches now, in one write: in one transaction, up to 500 rows. */
  update(patch: Patch<T> | PatchEntries<T>): Write<BulkResult>;
  /** Deletes every row that matches now, in one write: in one transaction, up to 500 rows. */
  delete(): Write<BulkResult>;
}

/** How the hooks reach a query's shared source. */
export const SOURCE = Symbol("tidewire.source");

/** What a query needs of its collection. */
export interface QueryHost {
  readonly session: Session;
  readonly name: string;
  readonly includes: ReadonlyMap<string, Include>;
  bulk(ids: () => readonly string[], edit: { readonly patch: unknown } | "delete"): Write<BulkResult>;
}

/** See {@link Query}. */
export class CollectionQuery<T, R extends { readonly id: string }, N> implements Query<T, R, N> {
  readonly #live: Live<readonly R[]>;

  constructor(
    private readonly host: QueryHost,
    private readonly request: WireQuery,
    private readonly includes: readonly Include[] = [],
  ) {
    this.#live = liveOf(() => rowsSource<R>(host.session, this.#question()));
  }

  where(where: Where<T>): Query<T, R, N> {
    const both = bothWhere(this.request.where, normaliseWhere(where));
    return this.#with(both === undefined ? {} : { where: both });
  }

  orderBy(path: OrderPath<T>, direction: "asc" | "desc" = "asc"): Query<T, R, N> {
    if (direction !== "asc" && direction !== "desc")
      throw new TidewireError("bad-query", 'orderBy takes "asc" or "desc".');
    return this.#with({ orderBy: [...(this.request.orderBy ?? []), [queryPath(path as string), direction]] });
  }

  limit(count: number): Query<T, R, N> {
    return this.#with({ limit: whole(count, "limit") });
  }

  offset(count: number): Query<T, R, N> {
    return this.#with({ offset: whole(count, "offset") });
  }

  include<K extends keyof N & string>(name: K): Query<T, R & Pick<N, K>, N> {
    const include = this.host.includes.get(name);
    if (include === undefined) {
      const known = [...this.host.includes.keys()].join(", ") || "none";
      throw new TidewireError("bad-query", `"${this.host.name}" has no reference "${name}"; there are: ${known}.`);
    }
    const others = this.includes.filter((other) => other.name !== name);
    const includes = [...others, include].sort((a, b) => (a.name < b.name ? -1 : 1));
    return new CollectionQuery<T, R & Pick<N, K>, N>(this.host, this.request, includes);
  }

  page(options: { readonly size: number; readonly after?: string }): Live<Page<R>> {
    const limit = whole(options.size, "size");
    const after = options.after === undefined ? {} : { after: options.after };
    return liveOf(() => pageSource<R>(this.host.session, this.#question({ limit, page: true, ...after })));
  }

  all(): Live<readonly R[]> {
    return this;
  }

  count(): Live<number> {
    return foldOf(this.host.session, this.request, ["count"], 0);
  }

  sum(path: NumberPath<T>): Live<number> {
    return foldOf(this.host.session, this.request, ["sum", queryPath(path as string)], NaN);
  }

  avg(path: NumberPath<T>): Live<number | null> {
    return foldOf(this.host.session, this.request, ["avg", queryPath(path as string)], null);
  }

  min<P extends FieldPath<T>>(path: P): Live<NonNullable<PathValue<T, P>> | null> {
    return foldOf(this.host.session, this.request, ["min", queryPath(path)], null);
  }

  max<P extends FieldPath<T>>(path: P): Live<NonNullable<PathValue<T, P>> | null> {
    return foldOf(this.host.session, this.request, ["max", queryPath(path)], null);
  }

  groupBy<P extends FieldPath<T>>(path: P): Grouped<T, PathValue<T, P>> {
    return groupsOf(this.host.session, this.request, queryPath(path));
  }

  subscribeChanges(fn: (changes: Changes<R>) => void, options?: SubscribeOptions): () => void {
    const { session } = this.host;
    const collections = [this.request.c, ...this.includes.map(({ to }) => to)];
    const remote = (): number => collections.reduce((sum, name) => sum + session.rows.remoteChanges(name), 0);
    let old: readonly R[] = [];
    let seen = remote();
    const tell = (rows: readonly R[]): void => {
      const now = remote();
      const changes = changesOf(old, rows, now > seen ? "remote" : "local");
      old = rows;
      seen = now;
      if (changes !== undefined) fn(changes);
    };
    return this.#live.subscribe(tell, options);
  }

  update(patch: Patch<T> | PatchEntries<T>): Write<BulkResult> {
    return this.host.bulk(() => idsNow(this.host.session, this.request), { patch });
  }

  delete(): Write<BulkResult> {
    return this.host.bulk(() => idsNow(this.host.session, this.request), "delete");
  }

  peek(): readonly R[] | undefined {
    return this.#live.peek();
  }

  get(options?: { readonly signal?: AbortSignal }): Promise<readonly R[]> {
    return this.#live.get(options);
  }

  subscribe(fn: (rows: readonly R[]) => void, options?: SubscribeOptions): () => void {
    return this.#live.subscribe(fn, options);
  }

  /** The rows and whether they are complete, for the hooks. */
  [SOURCE](): Source<RowsView<R>> {
    const { session, name } = this.host;
    const question = this.#question();
    let rows: Source<readonly R[]> | undefined;
    return session.source<RowsView<R>>({
      key: `view/${textOf([this.request, this.includes.map((include) => include.name)])}`,
      topics: [topics.collection(name), ...this.includes.map(({ to }) => topics.collection(to)), topics.status],
      compute: (watched) => {
        rows = rowsSource<R>(session, question);
        return Object.freeze({ rows: rows.current(watched), status: loadState(session, name) });
      },
      same: (old, fresh) => old.rows === fresh.rows && old.status === fresh.status,
      release: () => rows?.release(),
    });
  }

  #question(part: Partial<WireQuery> = {}): Question {
    return { request: { ...this.request, ...part }, includes: this.includes };
  }

  #with(part: Partial<WireQuery>): CollectionQuery<T, R, N> {
    return new CollectionQuery<T, R, N>(this.host, { ...this.request, ...part }, this.includes);
  }
}

/** Whether a collection's first full pull is done; a database without a server has nothing to wait for. */
export function loadState(session: Session, collection: string): "partial" | "complete" {
  const complete = session.config.url === null || session.status.current().loaded.includes(collection);
  return complete ? "complete" : "partial";
}

function whole(count: number, name: string): number {
  if (!Number.isSafeInteger(count) || count < 0)
    throw new TidewireError("bad-query", `${name} takes a whole number of at least 0.`);
  return count;
}
