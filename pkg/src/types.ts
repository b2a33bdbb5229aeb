/** The types that users see: rows, patches, filters, collections and their options. */
import type { Json } from "./json.js";
import type { Operator } from "./operators.js";
import type { Path, PathKeys, PathValue } from "./path.js";
import type { IdPath, Ref, Refs, RefsCheck } from "./refs.js";
import type { InputOf, NonJsonField, OutputOf, StandardSchema } from "./schema.js";

type AnyJson = string | number | boolean | null | AnyJson[] | { [key: string]: AnyJson };

/** Read-only, all the way down. A field that can hold any JSON reads as {@link Json}. */
export type DeepReadonly<T> = unknown extends T
  ? T
  : [AnyJson] extends [T]
    ? Json | Extract<T, undefined>
    : T extends string | number | boolean | bigint | symbol | null | undefined
      ? T
      : T extends (...args: never[]) => unknown
        ? T
        : T extends readonly unknown[]
          ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
          : T extends object
            ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
            : T;

/** Where a row stands between this device and the server. */
export interface SyncMark {
  readonly status: "pending" | "synced" | "conflict" | "failed";
  /** When the server last confirmed it, in milliseconds of this device's clock. */
  readonly syncedAt?: number;
  readonly error?: { readonly code: string; readonly path?: string; readonly message: string };
}

/** What Tidewire knows about a row. */
export interface Meta {
  readonly $sync: SyncMark;
  readonly $rev: number;
  readonly $updatedAt: number;
  /** Sensitive fields of the row that are not stored on this device and not fetched again yet. */
  readonly $missing?: readonly string[];
}

/** A row as reads give it: frozen; its identity changes exactly when its data or its `$sync` changes. */
export type Row<T> = DeepReadonly<T> & { readonly id: string } & Meta;

/** What `insert` and `upsert` take: the validator's input, with or without an id. A row fits too. */
export type NewEntity<I> = DeepReadonly<I> & { readonly id?: string };

/** What one path of a patch can hold. `undefined` removes an optional field. */
export type PatchValue<V> =
  | DeepReadonly<V>
  | Operator<"set", DeepReadonly<V>>
  | ([NonNullable<V>] extends [number] ? Operator<"inc", number> : never)
  | (NonNullable<V> extends readonly (infer Item)[] ? Operator<"add" | "remove", readonly DeepReadonly<Item>[]> : never)
  | (undefined extends V ? Operator<"unset", undefined> : never);

/** An edit: dotted paths to values or operators. A plain object replaces the whole value at its path. */
export type Patch<T> = { readonly [P in Path<T>]?: PatchValue<PathValue<T, P>> };
/** An edit in array form, for keys that have a dot and for depths that `Path` does not reach. */
export type PatchEntries<T> = readonly (readonly [Path<T> | PathKeys, Json | Operator | undefined])[];

/** Fields of a row that are not data but can be filtered and sorted by. */
export type MetaPath = "$id" | "$updatedAt" | "$rev" | "$status";
type MetaValue = { $id: string; $updatedAt: number; $rev: number; $status: SyncMark["status"] };

/** The conditions that fit a value. A missing field equals null. */
export type Condition<V> =
  | DeepReadonly<Exclude<V, undefined>>
  | null
  | ({
      readonly eq?: DeepReadonly<Exclude<V, undefined>> | null;
      readonly ne?: DeepReadonly<Exclude<V, undefined>> | null;
      readonly in?: readonly (DeepReadonly<Exclude<V, undefined>> | null)[];
    } & ([Extract<V, string | number>] extends [never]
      ? unknown
      : {
          readonly gt?: Extract<V, string | number>;
          readonly gte?: Extract<V, string | number>;
          readonly lt?: Extract<V, string | number>;
          readonly lte?: Extract<V, string | number>;
        }) &
      ([Extract<V, string>] extends [never] ? unknown : { readonly startsWith?: string }) &
      ([Extract<V, string | readonly unknown[]>] extends [never]
        ? unknown
        : { readonly contains?: NonNullable<V> extends readonly (infer Item)[] ? DeepReadonly<Item> : string }));

/** A filter: all of its members must hold. Plain data: equal filters share one live result. */
export type Where<T> = { readonly [P in Path<T>]?: Condition<PathValue<T, P>> } & {
  readonly [M in MetaPath]?: Condition<MetaValue[M]>;
} & {
  readonly $and?: readonly Where<T>[];
  readonly $or?: readonly Where<T>[];
  readonly $not?: Where<T>;
};

/** What a list can be ordered by. */
export type OrderPath<T> = Path<T> | MetaPath | PathKeys;
/** A field of the data, by its dotted path. */
export type FieldPath<T> = Path<T>;
/** The paths of `T` that can hold a number. */
export type NumberPath<T> = {
  [P in Path<T>]: [Extract<PathValue<T, P>, number>] extends [never] ? never : P;
}[Path<T>];

/** How concurrent edits of one field are settled. */
export type Strategy = "last-write-wins" | "merge" | "client-wins" | "server-wins";

/**
 * Decides about a conflict of one entity: returns the row as it shall be, or `"ask"` to leave it to the person. Pure
 * and synchronous. It is called on the device that made the edit; what it gets is frozen, without the id. `fields` are
 * the JSON Pointers of the fields in conflict, `base` is the row with what both authors had seen in them.
 */
export type ConflictFunction<T> = (args: {
  readonly base: DeepReadonly<T> | undefined;
  readonly mine: DeepReadonly<T>;
  readonly theirs: DeepReadonly<T>;
  readonly fields: readonly string[];
}) => DeepReadonly<T> | "ask";

type FieldStrategy<V> =
  | Strategy
  | "manual"
  | ([NonNullable<V>] extends [number] ? "counter" : never)
  | ([NonNullable<V>] extends [string] ? "text" : never)
  | ([NonNullable<V>] extends [readonly unknown[]] ? "union" : never);

/** The settings of a collection. The server's settings are the truth; these predict them. */
export interface CollectionOptions<T, R = Refs<T>> {
  /**
   * For every field that `fields` does not name; `last-write-wins` if left out. `manual`: this user's value waits in
   * `db.sync.conflicts` for a decision. A function is `manual` on the server, and decides here.
   */
  readonly conflict?: Strategy | "manual" | ConflictFunction<T>;
  readonly fields?: { readonly [P in Path<T>]?: FieldStrategy<PathValue<T, P>> };
  readonly onDeleteConflict?: "delete-wins" | "update-wins";
  /** What the view shows of a write that the server refused. */
  readonly onReject?: "undo" | "keep";
  /**
   * Fields that never leave this device: in no push, no conflict and no digest. They stay when the server changes the
   * entity, and go with it. Let the validator do without them: on other devices they are not there.
   */
  readonly local?: readonly Path<T>[];
  /**
   * How much of it is kept on this device. `full` (if left out): all that the user may see. `none`: what was fetched
   * with `fetch`, and what was written here. An object: see {@link Replicate}.
   */
  readonly replicate?: "full" | "none" | Replicate<T>;
  /**
   * Fields that name an entity together, as lists of them that are tried in this order: what two devices insert of the
   * same thing becomes one (event `remap`), and both ids stay good. The server decides: it declares the same, as
   * `natural_keys`. Texts count without case and white space around them.
   */
  readonly naturalKey?: readonly (readonly Path<T>[])[];
  /** Fields that hold the id of another entity; `include` follows them. */
  readonly refs?: R & {
    readonly [P in Exclude<keyof R, IdPath<T>> & string]: TypeProblem<`There is no field "${P}" that can hold an id.`>;
  };
  /**
   * Fields that never touch this device's disk: they are written only while there is a connection, and fetched again
   * after a reload (`$missing` names them until then). What a store has of them from before stays on the disk: erase
   * it once, after `db.sync.done()`. See `openDb({ sensitive })`.
   */
  readonly sensitive?: readonly Path<T>[];
}

/**
 * A part of a collection. What is given up is no delete, and comes back with `fetch`. Nothing is given up that has an
 * edit, a refused write or a conflict of this device, or to which a queued edit refers.
 */
export interface Replicate<T> {
  /** Rows that match, as in `where`. Others never reach this device's disk; neither `$status` nor local fields. */
  readonly where?: Where<T>;
  /** A row is given up so long after it came or was last read. */
  readonly ttlMs?: number;
  /** Of more rows than this the least recently read are given up. */
  readonly maxEntities?: number;
}

/** Options after the compiler has checked them against the entity. */
export interface AnyCollectionOptions {
  readonly conflict?: Strategy | "manual" | ConflictFunction<never>;
  readonly fields?: { readonly [path: string]: Strategy | "manual" | "counter" | "text" | "union" | undefined };
  readonly onDeleteConflict?: "delete-wins" | "update-wins";
  readonly onReject?: "undo" | "keep";
  readonly local?: readonly string[];
  readonly replicate?: "full" | "none" | Replicate<never>;
  readonly naturalKey?: readonly (readonly string[])[];
  readonly refs?: { readonly [path: string]: Ref };
  readonly sensitive?: readonly string[];
}

/** A collection as `openDb` takes it: made by `collection()`, or a validator alone. */
export interface CollectionDef<S extends StandardSchema = StandardSchema, R = unknown> {
  readonly schema: S;
  readonly options: AnyCollectionOptions;
  /** The references, for the compiler alone. */
  readonly "~refs"?: R;
}

/** What stands in place of a wrong type, so that the compiler's message says what to do. */
export interface TypeProblem<Message extends string> {
  readonly "~tidewire": Message;
}

type NotJson<Field extends string> =
  TypeProblem<`The field "${Field}" of the validator's output is not JSON. Dates are RFC 3339 strings.`>;

/** The fields that a type names; an index signature names none. */
type NamedField<T> = keyof { [K in keyof T as string extends K ? never : K]: true };

/** `unknown` for a usable validator; else a problem that names the field. */
export type SchemaCheck<S extends StandardSchema> = [OutputOf<S>] extends [object]
  ? "id" extends NamedField<OutputOf<S>>
    ? TypeProblem<'Leave "id" out of the validator: Tidewire makes and keeps it.'>
    : [NonJsonField<OutputOf<S>>] extends [never]
      ? [OutputOf<S>] extends [InputOf<S>]
        ? unknown
        : TypeProblem<"The validator's output must be assignable to its input: rows are validated again at each edit.">
      : NotJson<NonJsonField<OutputOf<S>>>
  : TypeProblem<"A collection holds objects: the validator's output must be an object.">;

/** Names that the database uses itself. */
export type ReservedName =
  "sync" | "transaction" | "on" | "close" | "erase" | "export" | "import" | "signIn" | "signOut" | "context"
  | "$conflicts";

/** What `openDb({ collections })` takes. */
export type Collections = Readonly<Record<string, StandardSchema | CollectionDef<StandardSchema>>>;
/** The validator of one member of `collections`. */
export type SchemaOf<D> = D extends CollectionDef<infer S, any> ? S : D extends StandardSchema ? D : never;
/** A problem for each member of `collections` that cannot be used. */
export type CollectionsCheck<C> = {
  readonly [K in keyof C]: K extends ReservedName
    ? TypeProblem<`"${K}" is a name of the database itself; choose another.`>
    : SchemaCheck<SchemaOf<C[K]>> & ([RefsCheck<C, C[K]>] extends [never] ? unknown : RefsCheck<C, C[K]>);
};
