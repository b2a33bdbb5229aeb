/**
 * React hooks over live values, on `useSyncExternalStore`: safe under StrictMode, in concurrent rendering and on a
 * server.
 *
 * A query may be written inline in render: it is plain data, and equal queries share one live result.
 */
import { useCallback, useState, useSyncExternalStore } from "react";
import { SOURCE, type CollectionQuery, type Query } from "../query.js";
import type { Collection, DbCollection } from "../collection.js";
import { SESSION, type DbBase } from "../db.js";
import type { TidewireError } from "../errors.js";
import type { Session } from "../session.js";
import { initialStatus, type SyncStatus } from "../status.js";
import type { Collections, Row } from "../types.js";

/** Whether a result is all there is. `partial`: the first full pull of the collection is not done. */
export type LoadStatus = "loading" | "partial" | "complete" | "error";

/** What `useLiveQuery` returns. */
export interface LiveQueryResult<R> {
  /** Empty while `loading`, unless `initial` rows are given. */
  readonly rows: readonly R[];
  readonly status: LoadStatus;
  readonly error?: TidewireError;
}

/** What `useEntity` returns. */
export interface EntityResult<T> {
  readonly row: Row<T> | undefined;
  readonly status: LoadStatus;
  readonly error?: TidewireError;
}

const EMPTY: readonly never[] = Object.freeze([]);

/** The rows of a query, kept current. `initial`: what to show on the server and until the store is open. */
export function useLiveQuery<R extends { readonly id: string }>(
  query: Query<any, R, any>,
  options: { readonly initial?: readonly NoInfer<R>[] } = {},
): LiveQueryResult<R> {
  const source = (query as CollectionQuery<any, R, any>)[SOURCE]();
  const [loading] = useState<LiveQueryResult<R>>(() =>
    Object.freeze({ rows: options.initial ?? EMPTY, status: "loading" }),
  );
  return useSource<LiveQueryResult<R>>(source, loading, failedResult);
}

/** One entity, kept current. Without an id there is no row, and nothing is waited for. */
export function useEntity<T>(
  collection: Collection<any, T, any>,
  id: string | null | undefined,
  options: { readonly initial?: Row<T> } = {},
): EntityResult<T> {
  const source = id == null ? undefined : (collection as unknown as DbCollection<never, T, any>)[SOURCE](id);
  const [loading] = useState<EntityResult<T>>(() => Object.freeze({ row: options.initial, status: "loading" }));
  return useSource<EntityResult<T>>(source, id == null ? NO_ENTITY : loading, failedResult);
}

/** Where syncing stands. A store that cannot be opened is `paused`, with the error. */
export function useSyncStatus<C extends Collections>(db: DbBase<C>): SyncStatus {
  const { status, config } = (db as unknown as { readonly [SESSION]: Session })[SESSION];
  const [initial] = useState<SyncStatus>(() => Object.freeze(initialStatus(config)));
  return useSource<SyncStatus>(status, initial, pausedBy);
}

const NO_ENTITY: EntityResult<any> = Object.freeze({ row: undefined, status: "complete" });

/** What a hook needs of a source. */
interface Watchable<V> {
  watch(changed: () => void, flush: "own", failed: () => void, initial: false): () => void;
  snapshot(): V | undefined;
  failure(): TidewireError | undefined;
}

/** `loading` is what a server renders, what hydration begins with, and what stands until there is a value. */
function useSource<V extends object>(
  source: Watchable<V> | undefined,
  loading: V,
  failed: (last: V, error: TidewireError) => V,
): V {
  const [failure] = useState(() => new FailureMemo<V>(failed));
  const subscribe = useCallback(
    (changed: () => void) => source?.watch(changed, "own", changed, false) ?? (() => undefined),
    [source],
  );
  const snapshot = (): V => {
    const value = source?.snapshot() ?? loading;
    const error = source?.failure();
    return error === undefined ? value : failure.of(value, error);
  };
  return useSyncExternalStore(subscribe, snapshot, () => loading);
}

/** One result per failure: a snapshot must stay the same object while nothing changes. */
class FailureMemo<V extends object> {
  #memo: { readonly last: V; readonly error: TidewireError; readonly result: V } | undefined;

  constructor(private readonly make: (last: V, error: TidewireError) => V) {}

  of(last: V, error: TidewireError): V {
    if (this.#memo?.last !== last || this.#memo.error !== error)
      this.#memo = { last, error, result: Object.freeze(this.make(last, error)) };
    return this.#memo.result;
  }
}

function failedResult<V extends object>(last: V, error: TidewireError): V {
  return { ...last, status: "error", error };
}

function pausedBy(last: SyncStatus, error: TidewireError): SyncStatus {
  const { pending, failed, storage, delivery } = last;
  const cause = { code: error.code, message: error.hint, retryable: error.retryable };
  return { pending, failed, storage, delivery, state: "paused", reason: error.code, error: cause };
}
