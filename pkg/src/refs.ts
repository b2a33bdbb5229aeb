/**
 * References: a field that holds the id of an entity of some collection. Declared once, on the collection that has the
 * field; `include` follows them in both directions.
 */
import { TidewireError } from "./errors.js";
import { toPointer, type Path, type PathValue } from "./path.js";
import type { CollectionDef, Collections, Row, SchemaOf, TypeProblem } from "./types.js";
import type { OutputOf } from "./schema.js";

/** A reference to an entity of the collection `to`. */
export interface Ref {
  readonly to: string;
  /** The name of the entity that it refers to, for `include` from here. */
  readonly as?: string;
  /** The name of all that refer to an entity, for `include` from there. */
  readonly many?: string;
  /** What the server does with this entity when the other is deleted. */
  readonly onDelete?: "cascade" | "restrict" | "set-null";
}

/** The paths of `T` that can hold an id. */
export type IdPath<T> = {
  [P in Path<T>]: [Extract<PathValue<T, P>, string>] extends [never] ? never : P;
}[Path<T>];

/** References by the path of their field. */
export type Refs<T> = { readonly [P in IdPath<T>]?: Ref };

/** The references that a collection declares. */
export type RefsOf<D> = D extends CollectionDef<any, infer R> ? R : {};

/** A problem for each reference to a collection that does not exist. */
export type RefsCheck<C, D> = {
  [P in keyof RefsOf<D>]-?: RefsOf<D>[P] extends { readonly to: infer To extends string }
    ? To extends keyof C
      ? never
      : TypeProblem<`There is no collection "${To}".`>
    : never;
}[keyof RefsOf<D>];

type RowOf<C, K> = K extends keyof C ? Row<OutputOf<SchemaOf<C[K]>>> : never;
type Named<R, Key extends "as" | "many"> = R extends { readonly [K in Key]: infer Name extends string } ? Name : never;
type To<R> = R extends { readonly to: infer To } ? To : never;

type OneOf<C, R> = { readonly [P in keyof R as Named<R[P], "as">]: RowOf<C, To<R[P]>> | null };
type ManyOf<C, K, J> = {
  readonly [P in keyof RefsOf<C[J & keyof C]> as To<RefsOf<C[J & keyof C]>[P]> extends K
    ? Named<RefsOf<C[J & keyof C]>[P], "many">
    : never]: readonly RowOf<C, J>[];
};
type All<U> = (U extends unknown ? (part: U) => void : never) extends (part: infer I) => void ? I : never;

/** What a query of the collection `K` can include, by name. */
export type Includes<C extends Collections, K extends keyof C> = OneOf<C, RefsOf<C[K]>> &
  All<{ [J in keyof C]: ManyOf<C, K, J> }[keyof C]>;

/** One end of a reference, as `include` follows it. */
export interface Include {
  readonly name: string;
  /** Whether it leads to all that refer to the row, or to the one that the row refers to. */
  readonly many: boolean;
  /** The collection on the other side. */
  readonly to: string;
  /** The pointer of the field that holds the id, here or there. */
  readonly path: string;
}

/** What each collection can include. */
export type IncludesByCollection = ReadonlyMap<string, ReadonlyMap<string, Include>>;

/** The ends of all references. */
export function includesOf(
  collections: Iterable<readonly [string, { readonly options: { readonly refs?: { readonly [path: string]: Ref } } }]>,
): IncludesByCollection {
  const all = [...collections];
  const includes = new Map(all.map(([name]) => [name, new Map<string, Include>()] as const));
  const add = (collection: string, include: Include): void => {
    const known = includes.get(collection);
    if (known === undefined) throw badConfig(`A reference leads to "${collection}", which is no collection.`);
    if (known.has(include.name)) throw badConfig(`"${collection}" has two references named "${include.name}".`);
    known.set(include.name, include);
  };
  for (const [name, { options }] of all) {
    for (const [field, { to, as, many }] of Object.entries(options.refs ?? {})) {
      const path = toPointer(field);
      if (!includes.has(to)) throw badConfig(`"${name}.${field}" refers to "${to}", which is no collection.`);
      if (as !== undefined) add(name, { name: as, many: false, to, path });
      if (many !== undefined) add(to, { name: many, many: true, to: name, path });
    }
  }
  return includes;
}

function badConfig(message: string): TidewireError {
  return new TidewireError("bad-config", message);
}
