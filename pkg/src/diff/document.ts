/**
 * Fields of a JSON document by JSON Pointer, as the core reads them: segments are object keys only, an array is one
 * value.
 *
 * The functions that write change the document that they are given. Invariant: it is a copy that `cleanJson` made, and
 * each key came through {@link fieldKeys}, so that an assignment never reaches a prototype.
 */
import { TidewireError } from "../errors.js";
import { isJsonObject, type Json, type JsonObject } from "../json.js";
import { pointerKeys } from "../path.js";

/** A document of our own that may be changed. */
export type Draft = { [key: string]: Json };

const DEPTH_MAX = 64;
const POINTER_BYTES_MAX = 1_024;
const FORBIDDEN_KEY = /^(?:__proto__|constructor|prototype)$/;

/** The keys of a pointer to a field, checked. */
export function fieldKeys(pointer: unknown): readonly string[] {
  const keys = anyKeys(pointer);
  if (keys.length === 0) throw badPath(pointer, "the whole document is not a field");
  if (keys.length > DEPTH_MAX || new TextEncoder().encode(pointer as string).length > POINTER_BYTES_MAX)
    throw badPath(pointer, "longer or deeper than any document may be");
  return keys;
}

/** The keys of any pointer, also of the empty one. */
export function anyKeys(pointer: unknown): readonly string[] {
  if (typeof pointer !== "string" || !/^(?:\/(?:[^~]|~[01])*)?$/su.test(pointer))
    throw badPath(pointer, 'a path is a JSON Pointer: "/a/b", with ~0 for ~ and ~1 for /');
  const keys = pointerKeys(pointer);
  const forbidden = keys.find((key) => FORBIDDEN_KEY.test(key));
  if (forbidden === undefined) return keys;
  throw new TidewireError("forbidden-key", `${pointer}: the key ${JSON.stringify(forbidden)} is not allowed.`, {
    path: pointer,
  });
}

/** The value of a field, if every key on the way is there. */
export function getField(document: JsonObject, keys: readonly string[]): Json | undefined {
  let value: Json | undefined = document;
  for (const key of keys) {
    if (!isJsonObject(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

/** Whether something on the way is no object, so that nothing fits below it. */
export function isBlocked(document: JsonObject, keys: readonly string[]): boolean {
  let value: Json = document;
  for (const key of keys) {
    if (!isJsonObject(value)) return true;
    if (!Object.hasOwn(value, key)) return false;
    value = value[key] as Json;
  }
  return false;
}

/** Puts a value; objects on the way are made. The way must not be blocked. */
export function putField(document: Draft, keys: readonly string[], value: Json): void {
  let at = document;
  for (const key of keys.slice(0, -1)) {
    if (!Object.hasOwn(at, key)) at[key] = {};
    at = at[key] as Draft;
  }
  at[keys.at(-1) as string] = value;
}

/** Takes a field away; objects that become empty stay. */
export function removeField(document: Draft, keys: readonly string[]): void {
  const parent = getField(document, keys.slice(0, -1));
  if (isJsonObject(parent)) delete (parent as Draft)[keys.at(-1) as string];
}

/** Whether two values are the same JSON. */
export function isEqual(one: Json | undefined, other: Json | undefined): boolean {
  if (one === other) return true;
  if (Array.isArray(one) && Array.isArray(other))
    return one.length === other.length && one.every((item: Json, index) => isEqual(item, other[index]));
  if (!isJsonObject(one) || !isJsonObject(other)) return false;
  const keys = Object.keys(one);
  return (
    keys.length === Object.keys(other).length &&
    keys.every((key) => Object.hasOwn(other, key) && isEqual(one[key], other[key]))
  );
}

function badPath(pointer: unknown, why: string): TidewireError {
  const text = typeof pointer === "string" ? pointer : String(pointer);
  return new TidewireError("bad-path", `${text === "" ? "An empty path" : text}: ${why}.`, { path: text });
}
