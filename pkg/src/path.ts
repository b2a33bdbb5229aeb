/**
 * Paths: TypeScript names a field by a typed dotted path, the wire by a JSON Pointer.
 *
 * An array is one value, so no path goes into one. A key that itself has a dot is named by the array form of a path.
 */
import { TidewireError } from "./errors.js";
import { escapeToken, isJsonObject, withKey, withoutKeys, type Json, type JsonObject } from "./json.js";

type Primitive = string | number | boolean | null | undefined;
type Depth = [never, 0, 1, 2, 3, 4];
type Nested<T> = Exclude<NonNullable<T>, Primitive | readonly unknown[]>;

/** The dotted paths of `T`, at most five levels deep; deeper ones take the array form. In a record any path will do. */
export type Path<T, D extends number = 5> = [D] extends [never]
  ? never
  : T extends Primitive | readonly unknown[]
    ? never
    : {
        [K in keyof T & string]: string extends K
          ? K
          : K extends `${string}.${string}`
            ? never
            : K | ([Nested<T[K]>] extends [never] ? never : `${K}.${Path<Nested<T[K]>, Depth[D]>}`);
      }[keyof T & string];

/** The type of the field at a dotted path. In a record of objects the compiler cannot tell how deep a path goes. */
export type PathValue<T, P extends string> = string extends keyof T
  ? T[keyof T] | ([Nested<T[keyof T]>] extends [never] ? never : Json)
  : P extends keyof T
    ? T[P]
    : P extends `${infer Head}.${infer Rest}`
      ? Head extends keyof T
        ? PathValue<Nested<T[Head]>, Rest>
        : never
      : never;

/** A path by its keys, one by one: for keys that have a dot, and for depths that `Path` does not reach. */
export type PathKeys = readonly [string, ...string[]];

/** The keys of a dotted path or of an array path. */
export function pathKeys(path: string | readonly string[]): readonly string[] {
  const keys = typeof path === "string" ? path.split(".") : path;
  if (keys.length === 0 || keys.some((key) => typeof key !== "string" || (key === "" && typeof path === "string"))) {
    throw new TidewireError("bad-path", `${JSON.stringify(path)} names no field; write "a.b" or ["a", "b"].`);
  }
  return keys;
}

/** The JSON Pointer of a path. */
export function toPointer(path: string | readonly string[]): string {
  return pathKeys(path)
    .map((key) => `/${escapeToken(key)}`)
    .join("");
}

/** The keys of a JSON Pointer. */
export function pointerKeys(pointer: string): readonly string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** Whether one of two pointers is the other, or an ancestor of it. */
export function overlaps(one: string, other: string): boolean {
  return one === other || one.startsWith(`${other}/`) || other.startsWith(`${one}/`);
}

/** The value at a pointer, if there is one. */
export function readPointer(entity: JsonObject, pointer: string): Json | undefined {
  let value: Json | undefined = entity;
  for (const key of pointerKeys(pointer)) {
    if (!isJsonObject(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

/** Where a field is in a value: an array on the way, into which no path goes, counts as a whole. */
export function placeOf(value: unknown, pointer: string): string | undefined {
  let at = value as Json | undefined;
  let place = "";
  for (const key of pointerKeys(pointer)) {
    if (Array.isArray(at)) return place;
    if (!isJsonObject(at) || !Object.hasOwn(at, key)) return undefined;
    at = at[key];
    place += `/${escapeToken(key)}`;
  }
  return place;
}

/** `entity` with the value at `pointer` replaced, or removed where `value` is undefined. Missing parents are made. */
export function writePointer(entity: JsonObject, pointer: string, value: Json | undefined): JsonObject {
  return writeKeys(entity, pointerKeys(pointer), value, pointer);
}

function writeKeys(object: JsonObject, keys: readonly string[], value: Json | undefined, pointer: string): JsonObject {
  const [key, ...rest] = keys as [string, ...string[]];
  if (rest.length === 0) return value === undefined ? withoutKeys(object, new Set([key])) : withKey(object, key, value);
  const child = Object.hasOwn(object, key) ? object[key] : undefined;
  if (child === undefined || child === null) {
    return value === undefined ? object : withKey(object, key, writeKeys({}, rest, value, pointer));
  }
  if (!isJsonObject(child)) {
    const what = Array.isArray(child)
      ? "an array is one value: set it whole, or use add() and remove()"
      : `${JSON.stringify(key)} holds no object`;
    throw new TidewireError("bad-path", `${pointer}: ${what}.`, { path: pointer });
  }
  return withKey(object, key, writeKeys(child, rest, value, pointer));
}
