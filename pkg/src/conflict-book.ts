/**
 * What stands behind `db.sync.conflicts`: the core's conflicts by entity, and the edits that decisions come to.
 *
 * Invariant: a {@link Conflict} stays the same object while nothing that it says changes.
 */
import type { Conflict, ConflictField, KeepChoice, KeepOptions } from "./conflicts.js";
import { time } from "./env.js";
import { TidewireError, type ErrorDetails } from "./errors.js";
import type { IntentTarget } from "./intents.js";
import { cleanObject, deepFreeze, type Json, type JsonObject } from "./json.js";
import { changedKeys, completed, missingOf, patchOf, refuseUnseen } from "./known.js";
import { liveOf, sameItems, type Live, type Source } from "./live.js";
import { readPointer, writePointer } from "./path.js";
import { entityOf, type AnyRow } from "./rows.js";
import { validateUpdate } from "./schema.js";
import type { Session } from "./session.js";
import { topics } from "./topics.js";
import type { WireConflict, WireOp } from "./wasm/wire.js";
import { startWrite, type Write } from "./write.js";

/** A field, and whether this replica made the edit. */
export interface OwnField extends ConflictField {
  readonly own: boolean;
}

/** What lost and what was decided is shown so long: 30 days. */
const KEPT_MS = 30 * 24 * 3_600_000;

interface Known {
  readonly text: string;
  readonly row: AnyRow | undefined;
  readonly conflict: Conflict;
}

/** The conflicts of a session. */
export class ConflictBook {
  #known = new Map<string, Known>();

  /** `target` is `undefined` for a collection that the database does not declare. */
  constructor(
    private readonly session: Session,
    private readonly target: (collection: string) => IntentTarget | undefined,
  ) {}

  /** All conflicts: open ones first, then newest first. */
  readonly all = liveOf(() => this.source());
  /** Those that wait for a decision. */
  readonly open = this.#part("open", isOpen);
  /** What lost and what was decided. */
  readonly over = this.#part("over", (conflict) => !isOpen(conflict));

  source(): Source<readonly Conflict[]> {
    return this.session.source<readonly Conflict[]>({
      key: "conflicts",
      topics: [topics.conflicts],
      compute: () => this.#read(),
      same: sameItems,
    });
  }

  /** What lost and what was decided of one entity, newest first. */
  history(collection: string, id: string): Live<readonly Conflict[]> {
    return this.#part(`${collection}/${id}`, (one) => !isOpen(one) && one.collection === collection && one.id === id);
  }

  /** The edit that a decision comes to, now. */
  decision(key: string, choice: KeepChoice, options: KeepOptions = {}): WireOp {
    const conflict = this.source()
      .current()
      .find((one) => one.key === key);
    return this.#resolve(conflict ?? gone(), choice, options);
  }

  /** Those that are as asked. `key` names the question. */
  #part(key: string, is: (conflict: Conflict) => boolean): Live<readonly Conflict[]> {
    return liveOf(() =>
      this.session.source<readonly Conflict[]>({
        key: `conflicts/${key}`,
        topics: [topics.conflicts],
        compute: () => Object.freeze(this.source().current().filter(is)),
        same: sameItems,
      }),
    );
  }

  /** Decides about some fields of a conflict by the whole row as it shall be. */
  take(conflict: Conflict, fields: readonly ConflictField[], row: unknown): Write {
    return this.#write(conflict.id, () => this.#op(conflict, fields, () => entityOf(cleanObject(row)), row));
  }

  #write(id: string, op: () => WireOp): Write {
    return startWrite(
      this.session,
      id,
      () => ({ ops: [op()], atomic: false }),
      () => undefined,
    );
  }

  #resolve(conflict: Conflict, choice: KeepChoice, { paths }: KeepOptions): WireOp {
    const fields = conflict.fields.filter(({ path }) => paths?.includes(path) ?? true);
    if (fields.length === 0 || fields.length < (paths?.length ?? 0)) {
      throw new TidewireError("bad-path", "keep() takes JSON Pointers of the conflict's own fields.");
    }
    if (choice === "theirs") return this.#op(conflict, fields, (before) => before);
    const given = choice === "mine" ? undefined : entityOf(cleanObject(choice));
    if (given !== undefined && paths === undefined) return this.#op(conflict, fields, () => given, choice);
    const value = (field: ConflictField): Json | undefined =>
      given === undefined ? field.mine : readPointer(given, field.path);
    const taken = (before: JsonObject, now: readonly ConflictField[]): JsonObject =>
      now.reduce((entity, field) => writePointer(entity, field.path, value(field)), before);
    return this.#op(conflict, fields, taken, given && choice);
  }

  /**
   * The edit that a decision comes to. `after` makes the entity of what it would be without this user's values, and of
   * the fields as they stand now; `given` is the row that says so, if one does.
   */
  #op(
    { collection: c, id, state }: Conflict,
    fields: readonly ConflictField[],
    after: (before: JsonObject, now: readonly ConflictField[]) => JsonObject,
    given?: unknown,
  ): WireOp {
    const about = { collection: c, id };
    const same = this.source()
      .current()
      .filter((one) => one.state === state);
    const known = new Map(same.flatMap((one) => one.fields.map((field) => [field.conflict, field])));
    const now = fields.map(({ conflict }) => known.get(conflict) ?? gone(about));
    const row = this.session.rows.get(c, id);
    if (row === undefined)
      throw new TidewireError("deleted", "The entity is gone: insert it anew with values of its history.", about);
    const before = state === "open" ? asTheirs(entityOf(row), now) : entityOf(row);
    const target = this.target(c);
    const hidden = target?.hidden ?? [];
    const isGiven = given !== undefined;
    const wanted = completed(after(before, now), before, isGiven ? missingOf(given, hidden) : []);
    if (isGiven && this.session.rows.wasMissing(c, id)) refuseUnseen(before, wanted, hidden, about);
    const paths = changedKeys(before, wanted, "", hidden);
    if (isGiven && target !== undefined) validateUpdate(target.schema, before, wanted, paths, c);
    return {
      op: "patch",
      ...{ c, id },
      ...patchOf(wanted, paths),
      resolves: state === "closed" ? [] : now.map(({ conflict }) => conflict),
    };
  }

  #read(): readonly Conflict[] {
    const oldest = time.wall() - KEPT_MS;
    const groups = new Map<string, WireConflict[]>();
    for (const wire of JSON.parse(this.session.call((client) => client.view("conflicts"))) as WireConflict[]) {
      if (wire.state !== "open" && wire.at < oldest) continue;
      // The second part of a conflict's id is the number of the change that made it.
      const moment = wire.state === "open" ? "" : wire.id.split("-")[1];
      const key = `${wire.state}:${moment}:${wire.c}/${wire.e}`;
      groups.set(key, [...(groups.get(key) ?? []), wire]);
    }
    const known = new Map<string, Known>();
    for (const [key, wires] of groups) {
      const { c, e } = wires[0] as WireConflict;
      const text = JSON.stringify(wires);
      const row = this.session.rows.get(c, e);
      const old = this.#known.get(key);
      const same = old?.text === text && old.row === row;
      known.set(key, same ? old : { text, row, conflict: this.#conflict(key, wires, row) });
    }
    this.#known = known;
    const all = [...known.values()].map(({ conflict }) => conflict);
    return Object.freeze(all.sort((a, b) => Number(isOpen(b)) - Number(isOpen(a)) || b.at - a.at));
  }

  #conflict(key: string, wires: readonly WireConflict[], row: AnyRow | undefined): Conflict {
    const { c: collection, e: id, state } = wires[0] as WireConflict;
    const fields = wires.map(fieldOf);
    const keep = (choice: KeepChoice, options: KeepOptions = {}): Write =>
      this.#write(id, () => this.#resolve(conflict, choice, options));
    const conflict: Conflict = {
      ...{ key, collection, id, fields, keep },
      // Nobody can decide about an entity that is not there.
      state: row === undefined && state === "open" ? "closed" : state,
      at: Math.max(...fields.map(({ at }) => at)),
      mine: row,
      theirs: (row === undefined || state !== "open" ? row : asTheirs(row, fields)) as AnyRow | undefined,
      restore: () => keep("mine"),
    };
    return deepFreeze(conflict);
  }
}

function fieldOf({ id, path, base, yours, kept, by, own, at, rounds = 0 }: WireConflict): OwnField {
  const given = { base, mine: yours, theirs: kept, by };
  const there = Object.entries(given).filter(([, value]) => value !== undefined);
  return { conflict: id, path, own, at, rounds, ...Object.fromEntries(there) };
}

function gone(about?: ErrorDetails): never {
  throw new TidewireError("not-found", "There is no such conflict any more; look at db.sync.conflicts again.", about);
}

/** An entity or a row with what stands against these fields in place of this user's values. */
export function asTheirs<E extends JsonObject>(entity: E, fields: readonly ConflictField[]): JsonObject {
  return fields.reduce<JsonObject>((before, { path, theirs }) => put(before, path, theirs), entity);
}

/** The value at a pointer replaced or removed; as it was, where it does not fit. */
export function put(entity: JsonObject, path: string, value: Json | undefined): JsonObject {
  try {
    return writePointer(entity, path, value);
  } catch {
    return entity;
  }
}

function isOpen({ state }: Conflict): boolean {
  return state === "open";
}
