/**
 * What a mutation comes to on the newest row that is known: the decision that a server of Tidewire makes, made on the
 * device by the client's own settings (`core/src/merge`, `core/src/authority`).
 *
 * A write of a path is concurrent when the row is newer than the mutation's base and the value there is neither what
 * the author saw nor what is written (rule 13). Of a backend's row only the row's own age is known, not each path's:
 * `was` decides.
 */
import { compareDocuments } from "../diff/diff.js";
import { type Draft, fieldKeys, getField, isEqual, putField, removeField } from "../diff/document.js";
import { deepestFirst, mergeDocuments, type FieldStrategy, type Lost } from "../diff/merge.js";
import { cleanJson, isJsonObject, type Json, type JsonObject } from "../json.js";
import type { Strategy } from "../types.js";

/** A mutation as the engine pushes it. */
export interface Mutation {
  readonly c: string;
  readonly id: string;
  readonly kind: "insert" | "patch" | "delete";
  readonly base: number;
  readonly if_rev?: number;
  readonly set?: JsonObject;
  readonly unset?: readonly string[];
  readonly inc?: { readonly [pointer: string]: number };
  readonly add?: { readonly [pointer: string]: readonly Json[] };
  readonly remove?: { readonly [pointer: string]: readonly Json[] };
  readonly was?: JsonObject;
  readonly at: readonly [number, number];
}

/** A row as it stands, by all that is known. */
export interface Row {
  readonly rev: number;
  readonly value: JsonObject;
  readonly deleted: boolean;
  readonly version?: string | undefined;
  readonly updatedAt?: number | undefined;
}

/** A collection's settings, as the wasm class is configured with them. */
export interface Settings {
  readonly conflict?: Strategy;
  /** By JSON Pointer. */
  readonly fields?: { readonly [pointer: string]: FieldStrategy | "text" };
  readonly onDeleteConflict?: "delete-wins" | "update-wins";
}

/** A verdict of the protocol (rule 10). */
export type Verdict =
  | { readonly verdict: "applied"; readonly rev: number }
  | {
      readonly verdict: "merged";
      readonly rev: number;
      readonly overwritten: readonly Lost[];
      readonly displaced: readonly Lost[];
    }
  | { readonly verdict: "rejected"; readonly code: string; readonly path?: string; readonly message: string }
  | { readonly verdict: "held"; readonly reason: "missing" | "after" }
  | { readonly verdict: "void" };

/** What is to be stored, and what that costs whom. */
export interface Decided {
  readonly kind: "insert" | "update" | "delete";
  readonly value: JsonObject;
  readonly overwritten: readonly Lost[];
  readonly displaced: readonly Lost[];
}

const DELETED = "this entity was deleted: insert it again to keep this edit";

/** Decides: a verdict where there is nothing to store. */
export function decide(mutation: Mutation, row: Row | undefined, settings: Settings): Decided | Verdict {
  if (mutation.c.startsWith("$")) return rejected("unknown-collection", "this collection is Tidewire's own");
  if (mutation.if_rev !== undefined && mutation.if_rev !== row?.rev)
    return rejected("stale-rev", "the entity changed since the revision that this edit names: look again");
  if (mutation.kind === "insert") return insert(mutation, row);
  if (mutation.kind === "delete") return remove(mutation, row, settings);
  if (row === undefined) return missing(mutation);
  if (!row.deleted) return patch(mutation, row, settings);
  if (settings.onDeleteConflict !== "update-wins") return rejected("deleted", DELETED);
  const revived = patch(mutation, row, settings);
  return "verdict" in revived ? revived : { ...revived, kind: "insert" };
}

/** Whether this is a verdict already. */
export function isVerdict(answer: Decided | Verdict): answer is Verdict {
  return "verdict" in answer;
}

/** The verdict of what was stored at `rev`. */
export function stored({ overwritten, displaced }: Decided, rev: number): Verdict {
  const merged = overwritten.length + displaced.length > 0;
  return merged ? { verdict: "merged", rev, overwritten, displaced } : { verdict: "applied", rev };
}

/** The verdict of what can never be stored. */
export function rejected(code: string, message: string, path?: string): Verdict {
  return { verdict: "rejected", code, message, ...(path === undefined ? {} : { path }) };
}

/** Whether every field of `value` stands in `other`, which may have more. */
export function isWithin(value: JsonObject, other: JsonObject): boolean {
  return Object.entries(value).every(([key, field]) => Object.hasOwn(other, key) && isEqual(field, other[key]));
}

/** The top-level fields at which two entities differ, with their new values; null for what is gone. */
export function changedFields(before: JsonObject, after: JsonObject): JsonObject {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  const differ = [...keys].filter((key) => !isEqual(own(before, key), own(after, key)));
  return Object.fromEntries(differ.map((key) => [key, own(after, key) ?? null]));
}

function insert(mutation: Mutation, row: Row | undefined): Decided | Verdict {
  const value: Draft = {};
  for (const [path, field] of Object.entries(mutation.set ?? {})) force(value, path, field);
  if (row === undefined || row.deleted) return { kind: "insert", value, overwritten: [], displaced: [] };
  if (isWithin(value, row.value)) return { verdict: "applied", rev: row.rev };
  return rejected("exists", "an entity with this id exists: update it, or insert under a new id");
}

function missing(mutation: Mutation): Verdict {
  // What the author once saw is gone; what nobody has seen may come.
  return mutation.base > 0 ? rejected("deleted", DELETED) : { verdict: "held", reason: "missing" };
}

function remove(mutation: Mutation, row: Row | undefined, settings: Settings): Decided | Verdict {
  if (row === undefined || row.deleted) return { verdict: "applied", rev: row?.rev ?? 0 };
  const unseen = row.rev > mutation.base ? unseenBy(mutation, row.value) : [];
  if (unseen.length > 0 && settings.onDeleteConflict === "update-wins") {
    const overwritten = unseen.map((path) => lost(path, undefined, valueAt(row.value, path)));
    return { verdict: "merged", rev: row.rev, overwritten, displaced: [] };
  }
  const displaced = unseen.map((path) => lost(path, valueAt(row.value, path), undefined));
  return { kind: "delete", value: row.value, overwritten: [], displaced };
}

/** The paths that others changed and that a delete's author had not seen. */
function unseenBy(mutation: Mutation, now: JsonObject): readonly string[] {
  const seen: Draft = {};
  for (const [path, field] of Object.entries(mutation.was ?? {})) force(seen, path, field);
  const { set, unset } = compareDocuments(seen, now);
  return [...Object.keys(set), ...unset];
}

function patch(mutation: Mutation, row: Row, settings: Settings): Decided | Verdict {
  const { set = {}, unset = [], was = {} } = mutation;
  const unseen = row.rev > mutation.base;
  const base = cleanJson(row.value) as Draft;
  if (unseen) for (const path of [...Object.keys(set), ...unset]) force(base, path, own(was, path));
  const mine = cleanJson(base) as Draft;
  for (const path of unset) force(mine, path, undefined);
  for (const [path, field] of Object.entries(set)) force(mine, path, field);
  const merged = mergeDocuments(base, mine, row.value, {
    conflict: settings.conflict ?? "last-write-wins",
    fields: deepestFirst(Object.entries(settings.fields ?? {}).map(([path, strategy]) => [path, onDevice(strategy)])),
    mineIsLater: row.updatedAt === undefined || mutation.at[0] >= row.updatedAt,
  });
  const value = merged.value as Draft;
  const refusal = operate(mutation, value);
  if (refusal !== undefined) return refusal;
  const { overwritten, displaced } = merged;
  const decided: Decided = { kind: "update", value, overwritten, displaced };
  return isEqual(value, row.value) && !row.deleted ? stored(decided, row.rev) : decided;
}

/** Texts are merged on a server of Tidewire only. */
function onDevice(strategy: FieldStrategy | "text"): FieldStrategy {
  return strategy === "text" ? "last-write-wins" : strategy;
}

/** `inc`, `add` and `remove` act on whatever stands there: they commute (rule 16). */
function operate(mutation: Mutation, value: Draft): Verdict | undefined {
  for (const op of ["inc", "add", "remove"] as const) {
    for (const [path, by] of Object.entries(mutation[op] ?? {})) {
      const after = result(op, valueAt(value, path), by as number | readonly Json[]);
      if (after === WRONG) return rejected("wrong-type", `\`${op}\` does not fit the value that is there`, path);
      if (after !== undefined) force(value, path, after);
    }
  }
  return undefined;
}

const WRONG = Symbol("wrong type");

function result(
  op: "inc" | "add" | "remove",
  old: Json | undefined,
  by: number | readonly Json[],
): Json | typeof WRONG | undefined {
  if (typeof by === "number") {
    const sum = typeof old === "number" ? old + by : by;
    return (old === undefined || typeof old === "number") && Number.isFinite(sum) ? sum : WRONG;
  }
  if (old !== undefined && !Array.isArray(old)) return WRONG;
  const items = (old ?? []) as readonly Json[];
  const has = (list: readonly Json[], item: Json): boolean => list.some((other) => isEqual(other, item));
  if (op === "remove") return old === undefined ? undefined : items.filter((item) => !has(by, item));
  return by.reduce<readonly Json[]>((list, item) => (has(list, item) ? list : [...list, item]), items);
}

/** Puts a value, or takes one away, whatever is in its way. */
function force(document: Draft, path: string, value: Json | undefined): void {
  const keys = fieldKeys(path);
  if (value === undefined) return removeField(document, keys);
  keys.slice(0, -1).forEach((_, index) => {
    const head = keys.slice(0, index + 1);
    if (!isJsonObject(getField(document, head))) putField(document, head, {});
  });
  putField(document, keys, value);
}

function valueAt(document: JsonObject, path: string): Json | undefined {
  return getField(document, fieldKeys(path));
}

function own(document: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(document, key) ? document[key] : undefined;
}

function lost(path: string, yours: Json | undefined, kept: Json | undefined): Lost {
  return { path, ...(yours === undefined ? {} : { yours }), ...(kept === undefined ? {} : { kept }) };
}
