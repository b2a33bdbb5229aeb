/**
 * JSON values: what may cross into the store.
 *
 * Invariant: a value that leaves {@link cleanJson} is plain JSON and shares nothing with the caller's object. A key
 * that leads to a prototype is refused before anything is assigned to it.
 */
import { TidewireError } from "./errors.js";

/** Any JSON value. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
/** A JSON object. */
export type JsonObject = { readonly [key: string]: Json };

const DEPTH_MAX = 64;
/** With `u`, two surrogates that belong together are one character of another class. */
const LONE_SURROGATE = /\p{Cs}/u;
const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

/**
 * A copy of `value` as plain JSON. `undefined` in an object is left out; anything that JSON cannot say is refused with
 * the pointer of where it stands.
 */
export function cleanJson(value: unknown, pointer = ""): Json {
  return clean(value, pointer);
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
  // A computed key is defined, not assigned: none of them reaches a prototype.
  return { ...object, [key]: value };
}

/** `object` without some keys. */
export function withoutKeys(object: JsonObject, keys: ReadonlySet<string>): JsonObject {
  const rest: { [key: string]: Json } = {};
  for (const key of Object.keys(object)) if (!keys.has(key)) rest[key] = object[key] as Json;
  return rest;
}

/** One JSON Pointer token. */
export function escapeToken(key: string): string {
  return key.replaceAll("~", "~0").replaceAll("/", "~1");
}

/** Where a value stands: in which member of which object. The pointer is only made where something is refused. */
interface Place {
  readonly up: Place | string;
  readonly of: object;
  readonly depth: number;
  key: string | number;
}

function clean(value: unknown, at: Place | string): Json {
  switch (typeof value) {
    case "string":
      if (LONE_SURROGATE.test(value)) throw refuse(at, "a lone surrogate is no text");
      return value;
    case "boolean":
      return value;
    case "number":
      if (!Number.isFinite(value)) throw refuse(at, `${value} is not JSON; use null or leave the field out`);
      return value;
    case "object":
      return value === null ? null : cleanNested(value, at);
    case "bigint":
      throw refuse(at, "a BigInt is not JSON; use a number or a string");
    case "undefined":
      throw refuse(at, "undefined is no value here; use null");
    default:
      throw refuse(at, `a ${typeof value} is not JSON`);
  }
}

function cleanNested(value: object, up: Place | string): Json {
  for (let at = up; typeof at === "object"; at = at.up)
    if (at.of === value) throw refuse(up, "the value contains itself");
  const depth = typeof up === "object" ? up.depth + 1 : 0;
  if (depth >= DEPTH_MAX) throw refuse(up, `nested deeper than ${DEPTH_MAX} levels`, "too-deep");
  const at: Place = { up, of: value, depth, key: 0 };
  if (Array.isArray(value)) {
    return Array.from(value, (item: unknown, index) => {
      at.key = index;
      return clean(item, at);
    });
  }
  if (value instanceof Date) throw refuse(up, "a Date is not JSON; store date.toISOString()");
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw refuse(up, `an instance of ${value.constructor?.name ?? "a class"} is not JSON; use a plain object`);
  }
  const copy: { [key: string]: Json } = {};
  for (const key of Object.keys(value)) {
    at.key = key;
    if (FORBIDDEN_KEYS.has(key)) throw refuse(at, `the key ${JSON.stringify(key)} is not allowed`, "forbidden-key");
    if (LONE_SURROGATE.test(key)) throw refuse(at, "a lone surrogate is no text");
    const member = (value as { readonly [key: string]: unknown })[key];
    if (member !== undefined) copy[key] = clean(member, at);
  }
  return copy;
}

function pointerOf(at: Place | string): string {
  return typeof at === "object" ? `${pointerOf(at.up)}/${escapeToken(`${at.key}`)}` : at;
}

function refuse(at: Place | string, why: string, code = "bad-value"): TidewireError {
  const pointer = pointerOf(at);
  return new TidewireError(code, `${pointer === "" ? "The value" : pointer}: ${why}.`, { path: pointer });
}
