/**
 * Filters: the object that a user writes, normalised to the tree that the core reads. Equal filters give equal
 * texts.
 */
import { TidewireError } from "./errors.js";
import { canonicalJson, cleanJson, type Json } from "./json.js";
import { toPointer } from "./path.js";
import type { WireOperator, WireWhere } from "./wasm/wire.js";

const OPERATORS: ReadonlySet<string> = new Set(["eq", "ne", "gt", "gte", "lt", "lte", "in", "contains", "startsWith"]);
const META_PATHS: ReadonlySet<string> = new Set(["$id", "$updatedAt", "$rev", "$status"]);

/** The tree of a filter; `undefined` where it filters nothing. */
export function normaliseWhere(where: unknown): WireWhere | undefined {
  const parts = conditions(where, "where");
  return parts.length === 0 ? undefined : all(parts);
}

/** Both filters. */
export function bothWhere(one: WireWhere | undefined, other: WireWhere | undefined): WireWhere | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return all(["and" in one ? one.and : [one], "and" in other ? other.and : [other]].flat());
}

/** The pointer of a path, or the name of a fact about the row. */
export function queryPath(path: string | readonly string[]): string {
  if (typeof path === "string" && path.startsWith("$")) {
    if (META_PATHS.has(path)) return path;
    throw badQuery(`"${path}" is not a fact about a row; there are ${[...META_PATHS].join(", ")}.`);
  }
  if (path === "id") return "$id";
  return toPointer(path);
}

/** Whether a field holds one of these texts. */
export function inList(path: string, values: readonly string[]): WireWhere {
  return { path, op: "in", value: values };
}

function all(parts: readonly WireWhere[]): WireWhere {
  const sorted = parts
    .map((part) => [canonicalJson(part as unknown as Json), part] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const unique = sorted
    .filter(([text], index) => index === 0 || sorted[index - 1]?.[0] !== text)
    .map(([, part]) => part);
  return unique.length === 1 ? (unique[0] as WireWhere) : { and: unique };
}

function conditions(where: unknown, at: string): WireWhere[] {
  if (typeof where !== "object" || where === null) throw badQuery(`${at} takes an object of conditions.`);
  const entries = Array.isArray(where) ? (where as [string | string[], unknown][]) : Object.entries(where);
  return entries.flatMap(([path, condition]): WireWhere[] => {
    const here = `${at}.${String(path)}`;
    if (condition === undefined)
      throw badQuery(`${here} is undefined; leave the condition out, or use null for a missing field.`);
    switch (path) {
      case "$and":
        return list(condition, here).flatMap((part, index) => conditions(part, `${here}[${index}]`));
      case "$or":
        return [{ or: list(condition, here).map((part, index) => group(part, `${here}[${index}]`)) }];
      case "$not":
        return [{ not: group(condition, here) }];
      default:
        return field(queryPath(path), condition, here);
    }
  });
}

function group(where: unknown, at: string): WireWhere {
  const parts = conditions(where, at);
  if (parts.length === 0) throw badQuery(`${at} is empty.`);
  return all(parts);
}

function list(value: unknown, at: string): readonly unknown[] {
  if (!Array.isArray(value)) throw badQuery(`${at} takes an array of filters.`);
  return value;
}

function field(path: string, condition: unknown, at: string): WireWhere[] {
  const names =
    typeof condition === "object" && condition !== null && !Array.isArray(condition) ? Object.keys(condition) : [];
  const operators = names.filter((name) => OPERATORS.has(name));
  if (operators.length === 0) return [{ path, op: "eq", value: queryValue(condition, at) }];
  if (operators.length < names.length) {
    throw badQuery(`${at} mixes operators with other keys; to compare with an object write { eq: {…} }.`);
  }
  return operators.map((name) => {
    const value: unknown = (condition as Record<string, unknown>)[name];
    return { path, op: name as WireOperator, value: operand(name, value, `${at}.${name}`) };
  });
}

function operand(operator: string, value: unknown, at: string): Json {
  const json = queryValue(value, at);
  if (operator === "in" && !Array.isArray(json)) throw badQuery(`${at} takes an array.`);
  if (operator === "startsWith" && typeof json !== "string") throw badQuery(`${at} takes a string.`);
  if (["gt", "gte", "lt", "lte"].includes(operator) && typeof json !== "string" && typeof json !== "number") {
    throw badQuery(`${at} compares strings or numbers.`);
  }
  return json;
}

function queryValue(value: unknown, at: string): Json {
  if (value === undefined) throw badQuery(`${at} is undefined.`);
  try {
    const json = cleanJson(value);
    refuseUndefined(value, at);
    return json;
  } catch (cause) {
    if (cause instanceof TidewireError && cause.code === "bad-query") throw cause;
    throw badQuery(`${at}: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
}

/**
 * In an object of an entity `undefined` means absent; in a filter it is a mistake that must not match more than
 * was meant.
 */
function refuseUndefined(value: unknown, at: string): void {
  if (typeof value !== "object" || value === null) return;
  for (const [key, member] of Object.entries(value)) {
    if (member === undefined) throw badQuery(`${at}.${key} is undefined.`);
    refuseUndefined(member, `${at}.${key}`);
  }
}

function badQuery(message: string, cause?: unknown): TidewireError {
  return new TidewireError("bad-query", message, { cause });
}
