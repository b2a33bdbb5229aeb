/** The live values behind queries: rows, pages and what is made of rows. Queries that ask the same share one. */
import type { EarlyPage } from "./early.js";
import { canonicalJson, type Json } from "./json.js";
import { Join } from "./joins.js";
import { Kept } from "./kept.js";
import { sameItems, type Source } from "./live.js";
import type { Include } from "./refs.js";
import type { AnyRow } from "./rows.js";
import type { Session } from "./session.js";
import { topics } from "./topics.js";
import type { WireAnswer, WireQuery } from "./wasm/wire.js";

/** A page of rows. `next` goes into `page({ after })`; it is absent on the last page. */
export interface Page<R> {
  readonly rows: readonly R[];
  readonly next?: string;
  readonly total?: number;
}

/** A number for each value of a field. */
export interface Group<K, V> {
  readonly key: K;
  readonly value: V;
}

/** What rows to ask for, and what to include. */
export interface Question {
  readonly request: WireQuery;
  readonly includes: readonly Include[];
}

/** What is made into a value. */
type Answer = Pick<EarlyPage, "items" | "total" | "next">;

/** The rows. */
export function rowsSource<R>(session: Session, question: Question): Source<readonly R[]> {
  const make = ({ items }: Answer, join: Join, watched: boolean): readonly AnyRow[] => join.of(items, watched);
  return source("rows", session, question, make, sameItems);
}

/** One page of the rows. */
export function pageSource<R>(session: Session, question: Question): Source<Page<R>> {
  const make = ({ items, total, next }: Answer, join: Join, watched: boolean): Page<AnyRow> =>
    Object.freeze({ rows: join.of(items, watched), total, ...(next === undefined ? {} : { next }) });
  const same = (old: Page<AnyRow>, fresh: Page<AnyRow>): boolean =>
    old.next === fresh.next && old.total === fresh.total && sameItems(old.rows, fresh.rows);
  return source("page", session, question, make, same);
}

/** A number for each group; of all rows, if nothing is grouped. */
export function groupsSource<K, V>(session: Session, request: WireQuery): Source<readonly Group<K, V>[]> {
  const kept = new Kept<Group<K, V>>(session, request, (items) =>
    // A new group comes as null, and then as what it is.
    (items as readonly (readonly [K, V] | null)[]).map((item) => ({ key: item?.[0] as K, value: item?.[1] as V })),
  );
  let known = new Map<unknown, Group<K, V>>();
  const compute = (watched: boolean): readonly Group<K, V>[] => {
    const fresh = new Map<unknown, Group<K, V>>();
    for (const group of kept.read(watched).items) {
      const name = nameOf(group.key);
      const old = known.get(name);
      const same = old !== undefined && nameOf(old.value) === nameOf(group.value);
      fresh.set(name, same ? old : Object.freeze(group));
    }
    known = fresh;
    return Object.freeze([...fresh.values()]);
  };
  return session.source<readonly Group<K, V>[]>({
    key: `groups/${textOf(request)}`,
    topics: [topics.collection(request.c)],
    compute,
    same: sameItems,
    release: () => kept.release(),
  });
}

/** The ids of the rows that match now. */
export function idsNow(session: Session, request: WireQuery): readonly string[] {
  const answer = JSON.parse(session.call((client) => client.query(JSON.stringify(request)))) as WireAnswer;
  return answer.items as readonly string[];
}

/** What stands for a value in a comparison: no text of a field is like the text of an object. */
function nameOf(value: unknown): unknown {
  if (typeof value === "string") return `s${value}`;
  return typeof value === "object" && value !== null ? textOf(value) : value;
}

/** What a question is called: equal questions have equal names. */
export function textOf(question: unknown): string {
  return canonicalJson(question as Json);
}

function source<T>(
  what: string,
  session: Session,
  { request, includes }: Question,
  make: (answer: Answer, join: Join, watched: boolean) => unknown,
  same: (old: never, fresh: never) => boolean,
): Source<T> {
  const kept = new Kept<AnyRow>(session, request, (ids) => session.rows.list(request.c, ids as readonly string[]));
  const join = new Join(session, includes);
  const early = async (signal?: AbortSignal): Promise<{ readonly value: T } | undefined> => {
    const page = await session.early.page(request, signal);
    return page && { value: make(page, join, false) as T };
  };
  return session.source<T>({
    key: `${what}/${textOf([request, includes.map(({ name }) => name)])}`,
    topics: [topics.collection(request.c), ...join.topics],
    compute: (watched) => make(kept.read(watched), join, watched) as T,
    ...(request.limit !== undefined && includes.length === 0 && { early }),
    same: same as (old: T, fresh: T) => boolean,
    release: () => {
      kept.release();
      join.release();
    },
  });
}
