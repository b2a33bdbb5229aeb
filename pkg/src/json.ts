/**
 * JSON values: what may cross into the store.
 *
 * Invariant: a value that leaves {@link cleanJson} is plain JSON, shares nothing with the caller's object, and was
 * built without ever assigning a key of user data to an existing object (no `__proto__` can become a prototype).
 */
import { TidewireError } from "./errors.js";

/** Any JSON value. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
/** A JSON object. */
export type JsonObject = { readonly [key: string]: Json };

const DEPTH_MAX = 64;
const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

/**
 * A copy of `value` as plain JSON. `undefined` in an object is left out; anything that JSON cannot say is refused with
 * the pointer of where it stands.
 */
export function cleanJson(value: unknown, pointer = ""): Json {
  return clean(value, pointer, []);
}

/** Like {@link cleanJson}, for something that must be an object. */
export function cleanObject(value: unknown, pointer = ""): JsonObject {
  const json = cleanJson(value, pointer);
  if (!isJsonObject(json)) throw refuse(pointer, "an entity is a JSON object");
  return json;
}

/** Whether this is an object, not an array and not null. */
export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The text of a value with object keys in order: equal values have equal texts. */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (!isJsonObject(value)) return JSON.stringify(value);
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key] as Json)}`);
  return `{${members.join(",")}}`;
}

/** Freezes a parsed value and everything in it. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const key of Object.keys(value)) deepFreeze((value as Record<string, unknown>)[key]);
  }
  return value;
}

/** `object` with one own key set, without touching `object`. */
export function withKey(object: JsonObject, key: string, value: Json): JsonObject {
  return Object.fromEntries([...Object.entries(object).filter(([name]) => name !== key), [key, value]]);
}

/** `object` without some keys. */
export function withoutKeys(object: JsonObject, keys: ReadonlySet<string>): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !keys.has(name)));
}

/** One JSON Pointer token. */
export function escapeToken(key: string): string {
  return key.replaceAll("~", "~0").replaceAll("/", "~1");
}

function clean(value: unknown, pointer: string, parents: object[]): Json {
  switch (typeof value) {
    case "string":
      if (hasLoneSurrogate(value)) throw refuse(pointer, "a lone surrogate is no text");
      return value;
    case "boolean":
      return value;
    case "number":
      if (!Number.isFinite(value)) throw refuse(pointer, `${value} is not JSON; use null or leave the field out`);
      return value;
    case "object":
      return value === null ? null : cleanNested(value, pointer, parents);
    case "bigint":
      throw refuse(pointer, "a BigInt is not JSON; use a number or a string");
    case "undefined":
      throw refuse(pointer, "undefined is no value here; use null");
    default:
      throw refuse(pointer, `a ${typeof value} is not JSON`);
  }
}

function cleanNested(value: object, pointer: string, parents: object[]): Json {
  if (parents.includes(value)) throw refuse(pointer, "the value contains itself");
  if (parents.length >= DEPTH_MAX) throw refuse(pointer, `nested deeper than ${DEPTH_MAX} levels`, "too-deep");
  const chain = [...parents, value];
  if (Array.isArray(value)) {
    return Array.from(value, (item: unknown, index) => clean(item, `${pointer}/${index}`, chain));
  }
  if (value instanceof Date) throw refuse(pointer, "a Date is not JSON; store date.toISOString()");
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw refuse(pointer, `an instance of ${value.constructor?.name ?? "a class"} is not JSON; use a plain object`);
  }
  const members: [string, Json][] = [];
  for (const [key, member] of Object.entries(value)) {
    const at = `${pointer}/${escapeToken(key)}`;
    if (FORBIDDEN_KEYS.has(key)) throw refuse(at, `the key ${JSON.stringify(key)} is not allowed`, "forbidden-key");
    if (hasLoneSurrogate(key)) throw refuse(at, "a lone surrogate is no text");
    if (member !== undefined) members.push([key, clean(member, at, chain)]);
  }
  return Object.fromEntries(members);
}

function hasLoneSurrogate(text: string): boolean {
  return /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/.test(text);
}

function refuse(pointer: string, why: string, code = "bad-value"): TidewireError {
  return new TidewireError(code, `${pointer === "" ? "The value" : pointer}: ${why}.`, { path: pointer });
}
