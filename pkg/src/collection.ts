/** Collections: the reads and writes of one kind of entity. */
import type { Conflict, LazyConflicts } from "./conflicts.js";
import { TidewireError, toTidewireError } from "./errors.js";
import { newId } from "./ids.js";
import { fetchRow } from "./fetch.js";
import { insertOp, Resolver, type Intent, type IntentTarget } from "./intents.js";
import { checkObject, type JsonObject } from "./json.js";
import { missingOf } from "./known.js";
import { liveOf, type Live, type Source } from "./live.js";
import { compilePatch } from "./patch.js";
import { CollectionQuery, loadState, SOURCE, type BulkResult, type Query } from "./query.js";
import type { Include, Refs } from "./refs.js";
import { entityOf } from "./rows.js";
import { validateInsert, type StandardSchema } from "./schema.js";
import type { Session } from "./session.js";
import { topics } from "./topics.js";
import type {
  AnyCollectionOptions,
  CollectionDef,
  CollectionOptions,
  NewEntity,
  Patch,
  PatchEntries,
  Row,
  SchemaCheck,
  Where,
} from "./types.js";
import type { InputOf, OutputOf } from "./schema.js";
import type { WireOp } from "./wasm/wire.js";
import { refusedWrite, startWrite, type WaitOptions, type Write } from "./write.js";

/** Operations in one transaction; the core refuses more. */
const TRANSACTION_MAX = 500;

/** A draft: the entity as a plain object that may be changed at will. */
export type Draft<T> = T;

/** Options of an edit of one entity. */
export interface EditOptions {
  /** The server refuses the edit (`stale-rev`) unless the entity still has this `$rev` there. */
  readonly ifRev?: number;
}

/** One kind of entity. `I` is what the validator takes, `T` what it gives, `N` what queries can include. */
export interface Collection<I, T, N = {}> {
  readonly name: string;
  /** The row, as soon as the store is open. */
  get(id: string): Promise<Row<T> | undefined>;
  /** The row, if the store is open. */
  peek(id: string): Row<T> | undefined;
  /** The rows in the order of the ids; `undefined` where there is none. */
  getMany(ids: readonly string[]): Promise<readonly (Row<T> | undefined)[]>;
  /**
   * The row, from the server if it is not on this device: for collections of which only a part is kept. It is kept like
   * any other then. `undefined`: there is none, or none for this user. Rejects `offline`, `paused` and `timeout` (10 s
   * from the call unless told otherwise), `closed` when another user signs in or this one out, `wasm-load` when the
   * part of the module that syncs could not be loaded, and with the server's own error, such as `forbidden`.
   */
  fetch(id: string, options?: WaitOptions): Promise<Row<T> | undefined>;
  live(id: string): Live<Row<T> | undefined>;
  insert(value: NewEntity<I>): Write;
  /** All or nothing on this device; the server decides about each. */
  insertMany(values: readonly NewEntity<I>[]): Write<readonly string[]>;
  /** Inserts the entity, or replaces the one with its id. */
  upsert(value: NewEntity<I>): Write;
  update(id: string, patch: Patch<T> | PatchEntries<T> | ((draft: Draft<T>) => void), options?: EditOptions): Write;
  delete(id: string, options?: EditOptions): Write;
  /** The rows that match; all of them without a filter. */
  where(where?: Where<T>): Query<T, Row<T>, N>;
  /** What this user's edits of the entity lost, and what was decided about it: the newest first, for 30 days. */
  history(id: string): Live<readonly Conflict[]>;
}

/** The type of a collection's rows: `Entity<typeof db.todos>`. */
export type Entity<C> = C extends Collection<any, infer T, any> ? Row<T> : never;

/** A collection with options. A validator alone needs none of this. */
export function collection<S extends StandardSchema, const R extends Refs<OutputOf<S>> = {}>(
  schema: S & SchemaCheck<S>,
  options: CollectionOptions<OutputOf<S>, R> = {},
): CollectionDef<S, R> {
  return Object.freeze({ schema, options: options as AnyCollectionOptions });
}

/** A collection's face for a transaction and for the database alike: turns arguments into intents. */
export class Intents {
  constructor(readonly target: () => IntentTarget) {}

  insert(kind: "insert" | "upsert", value: unknown): Intent & { readonly kind: "insert" | "upsert" } {
    const { name, schema, hidden } = this.target();
    const { id, entity } = splitId(value, name);
    return { kind, id, text: validateInsert(schema, entity, name), missing: missingOf(value, hidden) };
  }

  update(id: string, patch: unknown, options: EditOptions | undefined): Intent {
    const ifRev = options?.ifRev;
    if (typeof patch === "function") return { kind: "draft", id, edit: patch as (draft: never) => unknown, ifRev };
    return { kind: "patch", id, edits: compilePatch(patch), missing: missingOf(patch, this.target().hidden), ifRev };
  }

  delete(id: string, options: EditOptions | undefined): Intent {
    return { kind: "delete", id, ifRev: options?.ifRev };
  }
}

/** See {@link Collection}. */
export class DbCollection<I, T, N = {}> implements Collection<I, T, N> {
  readonly #intents: Intents;

  constructor(
    private readonly session: Session,
    readonly name: string,
    private readonly target: () => IntentTarget,
    private readonly conflicts: LazyConflicts,
    private readonly includes: ReadonlyMap<string, Include> = new Map(),
  ) {
    this.#intents = new Intents(target);
  }

  async get(id: string): Promise<Row<T> | undefined> {
    const early = this.session.ready ? undefined : await this.session.early.row(this.name, id);
    if (early !== undefined) return early.row as Row<T> | undefined;
    await this.session.whenOpen();
    return this.session.rows.get(this.name, id) as Row<T> | undefined;
  }

  peek(id: string): Row<T> | undefined {
    if (this.session.ready) return this.session.rows.get(this.name, id) as Row<T> | undefined;
    this.session.start();
    return undefined;
  }

  async getMany(ids: readonly string[]): Promise<readonly (Row<T> | undefined)[]> {
    await this.session.whenOpen();
    return this.session.rows.list(this.name, ids) as readonly (Row<T> | undefined)[];
  }

  async fetch(id: string, options: WaitOptions = {}): Promise<Row<T> | undefined> {
    return (await fetchRow(this.session, this.name, id, options)) as Row<T> | undefined;
  }

  live(id: string): Live<Row<T> | undefined> {
    return liveOf(() => this.#rowSource(id));
  }

  insert(value: NewEntity<I>): Write {
    return this.#insert([value], () => undefined);
  }

  insertMany(values: readonly NewEntity<I>[]): Write<readonly string[]> {
    return this.#insert(values, (ids) => ids);
  }

  upsert(value: NewEntity<I>): Write {
    return this.#one(() => this.#intents.insert("upsert", value));
  }

  /** For `db.import`. */
  upsertMany(values: readonly unknown[]): Write<readonly string[]> {
    return this.#write(
      () => values.map((value) => this.#intents.insert("upsert", value)),
      (ids) => ids,
      "",
    );
  }

  update(id: string, patch: unknown, options?: EditOptions): Write {
    return this.#one(() => this.#intents.update(id, patch, options), id);
  }

  delete(id: string, options?: EditOptions): Write {
    return this.#one(() => this.#intents.delete(id, options), id);
  }

  where(where: Where<T> = {}): Query<T, Row<T>, N> {
    const host = {
      session: this.session,
      name: this.name,
      includes: this.includes,
      bulk: (ids: () => readonly string[], edit: { readonly patch: unknown } | "delete") => this.#bulk(ids, edit),
    };
    return new CollectionQuery<T, Row<T>, N>(host, { c: this.name }).where(where);
  }

  history(id: string): Live<readonly Conflict[]> {
    return this.conflicts.live((book) => book.history(this.name, id));
  }

  /** One entity and whether its collection is complete, for the hooks. */
  [SOURCE](id: string): Source<{ readonly row: Row<T> | undefined; readonly status: "partial" | "complete" }> {
    const { session, name } = this;
    return session.source({
      key: `entity/${name}/${id}`,
      topics: [topics.row(name, id), topics.status],
      compute: () => Object.freeze({ row: this.#rowSource(id).current(), status: loadState(session, name) }),
      same: (old, fresh) => old.row === fresh.row && old.status === fresh.status,
    });
  }

  #rowSource(id: string): Source<Row<T> | undefined> {
    return this.session.source<Row<T> | undefined>({
      key: `row/${this.name}/${id}`,
      topics: [topics.row(this.name, id)],
      compute: () => this.session.rows.get(this.name, id) as Row<T> | undefined,
      same: Object.is,
    });
  }

  #one(make: () => Intent, knownId = ""): Write {
    return this.#write(() => [make()], () => undefined, knownId);
  }

  /** What an insert comes to is known before any row is. */
  #insert<R>(values: readonly unknown[], result: (ids: readonly string[]) => R): Write<R> {
    const make = (): readonly Intent[] => values.map((value) => this.#intents.insert("insert", value));
    return this.#write(make, result, "", (intents) => {
      const ops = [insertOp(this.name, intents as readonly { id: string; text: string }[])];
      return () => ops;
    });
  }

  #write<R>(
    make: () => readonly Intent[],
    result: (ids: readonly string[]) => R,
    knownId: string,
    prepare = (intents: readonly Intent[]) => () => this.#resolve(intents),
  ): Write<R> {
    // The store opens while the values are checked.
    this.session.start();
    try {
      const intents = make();
      const ids = Object.freeze(intents.map((intent) => intent.id));
      const ops = prepare(intents);
      return startWrite(this.session, ids[0] ?? "", () => ({ ops: ops(), atomic: false }), () => result(ids));
    } catch (error) {
      return refusedWrite(this.session, knownId, toTidewireError(error));
    }
  }

  #bulk(ids: () => readonly string[], edit: { readonly patch: unknown } | "delete"): Write<BulkResult> {
    let found: readonly string[] = [];
    const isAtomic = (): boolean => found.length <= TRANSACTION_MAX;
    const make = (): { ops: readonly WireOp[]; atomic: boolean } => {
      found = Object.freeze([...ids()]);
      const intent = (id: string): Intent =>
        edit === "delete" ? this.#intents.delete(id, undefined) : this.#intents.update(id, edit.patch, undefined);
      return { ops: this.#resolve(found.map(intent)), atomic: isAtomic() };
    };
    return startWrite(this.session, "", make, () => Object.freeze({ ids: found, atomic: isAtomic() }));
  }

  #resolve(intents: readonly Intent[]): readonly WireOp[] {
    const resolver = new Resolver(this.session.rows);
    const target = this.target();
    return intents.map((intent) => resolver.resolve(target, intent)).filter((op) => op !== undefined);
  }
}

function splitId(value: unknown, collection: string): { id: string; entity: JsonObject } {
  const json = checkObject(value);
  const given = json["id"];
  if (given !== undefined && (typeof given !== "string" || given === "")) {
    throw new TidewireError("bad-name", `An id is a text that is not empty.`, { collection, path: "/id" });
  }
  return { id: given ?? newId(), entity: entityOf(json) };
}

/** The collection that a definition makes. */
export type CollectionOf<S extends StandardSchema, N = {}> = Collection<InputOf<S>, OutputOf<S>, N>;
