/**
 * JSON values: what may cross into the store.
 *
 * Invariant: what passes {@link checkObject} is what `JSON.stringify` makes of it: but for members that are
 * `undefined`, nothing is left out, turned into `null` or asked for a text of its own. A value that leaves
 * {@link cleanJson} shares nothing with the caller's object.
 */
import { TidewireError } from "./errors.js";

/** Any JSON value. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
/** A JSON object. */
export type JsonObject = { readonly [key: string]: Json };

const DEPTH_MAX = 64;
/** With `u`, two surrogates that belong together are one character of another class. */
const LONE_SURROGATE = /\p{Cs}/u;
/** Faster where there is such a method. */
const { isWellFormed } = String.prototype as { isWellFormed?: (this: string) => boolean };
const isText = (text: string): boolean => (isWellFormed ? isWellFormed.call(text) : !LONE_SURROGATE.test(text));
const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

/**
 * A copy of `value` as plain JSON. `undefined` in an object is left out; anything that JSON cannot say is refused with
 * the pointer of where it stands.
 */
export function cleanJson(value: unknown, pointer = ""): Json {
  check(value, pointer);
  return typeof value === "object" ? (JSON.parse(JSON.stringify(value)) as Json) : (value as Json);
}

/** Like {@link cleanJson}, for something that must be an object. */
export function cleanObject(value: unknown): JsonObject {
  return JSON.parse(objectText(value)) as JsonObject;
}

/** The text of something that must be an object and JSON. */
export function objectText(value: unknown): string {
  return JSON.stringify(checkObject(value));
}

/** The value itself, if it is an object and JSON. */
export function checkObject(value: unknown): JsonObject {
  if (!isJsonObject(value as Json)) throw refuse("", "an entity is a JSON object");
  check(value, "");
  return value as JsonObject;
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
  // Parsed values inherit nothing that `for` would show.
  for (const key in Object.freeze(value)) {
    const member = value[key];
    if (typeof member === "object" && member !== null && !Object.isFrozen(member)) deepFreeze(member);
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

function check(value: unknown, at: Place | string): void {
  switch (typeof value) {
    case "string":
      if (!isText(value)) throw refuse(at, "a lone surrogate is no text");
      return;
    case "boolean":
      return;
    case "number":
      if (!Number.isFinite(value)) throw refuse(at, `${value} is not JSON; use null or leave the field out`);
      return;
    case "object":
      if (value !== null) checkNested(value, at);
      return;
    case "bigint":
      throw refuse(at, "a BigInt is not JSON; use a number or a string");
    case "undefined":
      throw refuse(at, "undefined is no value here; use null");
    default:
      throw refuse(at, `a ${typeof value} is not JSON`);
  }
}

function checkNested(value: object, up: Place | string): void {
  for (let at = up; typeof at === "object"; at = at.up)
    if (at.of === value) throw refuse(up, "the value contains itself");
  const depth = typeof up === "object" ? up.depth + 1 : 0;
  if (depth >= DEPTH_MAX) throw refuse(up, `nested deeper than ${DEPTH_MAX} levels`, "too-deep");
  const at: Place = { up, of: value, depth, key: 0 };
  if (Array.isArray(value)) {
    // Not `forEach`, which passes over holes.
    for (let index = 0; index < value.length; index += 1) {
      at.key = index;
      check(value[index], at);
    }
    return;
  }
  if (value instanceof Date) throw refuse(up, "a Date is not JSON; store date.toISOString()");
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw refuse(up, `an instance of ${value.constructor?.name ?? "a class"} is not JSON; use a plain object`);
  }
  for (const key of Object.keys(value)) {
    at.key = key;
    if (FORBIDDEN_KEYS.has(key)) throw refuse(at, `the key ${JSON.stringify(key)} is not allowed`, "forbidden-key");
    if (!isText(key)) throw refuse(at, "a lone surrogate is no text");
    const member = (value as { readonly [key: string]: unknown })[key];
    if (member !== undefined) check(member, at);
  }
}

function pointerOf(at: Place | string): string {
  return typeof at === "object" ? `${pointerOf(at.up)}/${escapeToken(`${at.key}`)}` : at;
}

function refuse(at: Place | string, why: string, code = "bad-value"): TidewireError {
  const pointer = pointerOf(at);
  return new TidewireError(code, `${pointer === "" ? "The value" : pointer}: ${why}.`, { path: pointer });
}
