/** Numbers made of rows: of all that match, or of each group. */
import { liveOf, type Live } from "./live.js";
import type { PathValue } from "./path.js";
import type { Session } from "./session.js";
import { groupsSource, type Group } from "./sources.js";
import type { FieldPath, NumberPath } from "./types.js";
import type { WireQuery } from "./wasm/wire.js";
import { queryPath } from "./where.js";

/** A field that is missing counts as null. */
type Key<K> = Exclude<K, undefined> | (undefined extends K ? null : never);

/** Rows by the value of a field: their counts, or what else is made of each group. */
export interface Grouped<T, K> extends Live<readonly Group<Key<K>, number>[]> {
  count(): Live<readonly Group<Key<K>, number>[]>;
  sum(path: NumberPath<T>): Live<readonly Group<Key<K>, number>[]>;
  avg(path: NumberPath<T>): Live<readonly Group<Key<K>, number | null>[]>;
  min<P extends FieldPath<T>>(path: P): Live<readonly Group<Key<K>, NonNullable<PathValue<T, P>> | null>[]>;
  max<P extends FieldPath<T>>(path: P): Live<readonly Group<Key<K>, NonNullable<PathValue<T, P>> | null>[]>;
}

type Fold = NonNullable<WireQuery["fold"]>;

/** One number of all rows that match; `none` where the core has none. */
export function foldOf<V>(session: Session, query: WireQuery, fold: Fold, none: V): Live<V> {
  const request = folded(query, fold);
  const value = (groups: readonly Group<unknown, unknown>[] | undefined): V | undefined =>
    groups === undefined ? undefined : ((groups[0]?.value ?? none) as V);
  const groups = liveOf(() => groupsSource<unknown, unknown>(session, request));
  return {
    peek: () => value(groups.peek()),
    get: async (options) => value(await groups.get(options)) as V,
    subscribe: (fn, options) => groups.subscribe((now) => fn(value(now) as V), options),
  };
}

/** See {@link Grouped}. */
export function groupsOf<T, K>(session: Session, query: WireQuery, path: string): Grouped<T, K> {
  const of = <V>(fold: Fold): Live<readonly Group<Key<K>, V>[]> =>
    liveOf(() => groupsSource<Key<K>, V>(session, { ...folded(query, fold), groupBy: path }));
  return {
    ...of<number>(["count"]),
    count: () => of(["count"]),
    sum: (field) => of(["sum", queryPath(field as string)]),
    avg: (field) => of(["avg", queryPath(field as string)]),
    min: (field) => of(["min", queryPath(field)]),
    max: (field) => of(["max", queryPath(field)]),
  };
}

function folded({ c, where }: WireQuery, fold: Fold): WireQuery {
  return { c, ...(where === undefined ? {} : { where }), fold };
}
