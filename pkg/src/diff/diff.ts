/**
 * What changed between two documents, as the fewest paths that say so: the same answer as the core's `diff`.
 *
 * Objects are compared by path; an array or a scalar is one value. `applyDiff` after `diff` is the identity.
 */
import { TidewireError } from "../errors.js";
import { cleanJson, escapeToken, isJsonObject, type Json, type JsonObject } from "../json.js";
import { type Draft, fieldKeys, isBlocked, isEqual, putField, removeField } from "./document.js";

/** The difference of two documents. No path in it lies in another. */
export interface Diff {
  /** New values by JSON Pointer. */
  readonly set: { readonly [pointer: string]: Json };
  /** Pointers of the fields that are gone. */
  readonly unset: readonly string[];
}

/** Compares two documents. Equal ones give `{ set: {}, unset: [] }`. */
export function diff(before: unknown, after: unknown): Diff {
  return compareDocuments(documentOf(before, "before"), documentOf(after, "after"));
}

/** A copy of `document` with the changes of a diff: what was compared with it. */
export function applyDiff(document: unknown, changes: Diff): JsonObject {
  const copy = documentOf(document, "document") as Draft;
  const { set, unset } = changesOf(changes);
  for (const pointer of unset) removeField(copy, fieldKeys(pointer));
  for (const [pointer, value] of Object.entries(set)) {
    const keys = fieldKeys(pointer);
    if (isBlocked(copy, keys)) throw wrongType(pointer, "a value on the way to this path is no object");
    putField(copy, keys, value);
  }
  return documentOf(copy, "document");
}

/** {@link diff} of documents that were checked. */
export function compareDocuments(before: JsonObject, after: JsonObject): Diff {
  const set: [string, Json][] = [];
  const unset: string[] = [];
  const compare = (at: string, old: JsonObject, now: JsonObject): void => {
    const below = (key: string): string => {
      const pointer = `${at}/${escapeToken(key)}`;
      fieldKeys(pointer);
      return pointer;
    };
    unset.push(...Object.keys(old).flatMap((key) => (Object.hasOwn(now, key) ? [] : [below(key)])));
    for (const [key, value] of Object.entries(now)) {
      const was = Object.hasOwn(old, key) ? old[key] : undefined;
      if (isJsonObject(was) && isJsonObject(value)) compare(below(key), was, value);
      else if (!isEqual(was, value)) set.push([below(key), value]);
    }
  };
  compare("", before, after);
  return { set: Object.fromEntries(set), unset };
}

/** A checked copy of something that must be a document. */
export function documentOf(value: unknown, name: string): JsonObject {
  const json = cleanJson(value);
  if (isJsonObject(json)) return json;
  throw wrongType("", `${name} is no document: a document is an object`);
}

/** The parts of a diff, its values checked one by one: a document may be as deep in a diff as out of it. */
function changesOf(changes: unknown): Diff {
  const { set, unset } = (changes ?? {}) as { set?: unknown; unset?: unknown };
  if (typeof set !== "object" || set === null || Array.isArray(set) || !Array.isArray(unset))
    throw new TidewireError("bad-value", "A diff is { set: { [pointer]: value }, unset: [pointer] }, made by diff().");
  const values = Object.entries(set).map(([pointer, value]) => [pointer, cleanJson(value, pointer)] as const);
  return { set: Object.fromEntries(values), unset: unset as readonly string[] };
}

function wrongType(pointer: string, what: string): TidewireError {
  return new TidewireError("wrong-type", `${pointer === "" ? "" : `${pointer}: `}${what}.`, { path: pointer });
}
