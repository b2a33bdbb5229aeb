/** JSON Pointers (RFC 6901): reading a value in a row, and a copy of the row with another value there. */
import type { Json } from "tidewire";

export type JsonObject = { readonly [key: string]: Json };

export function tokensOf(pointer: string): string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

export function valueAt(row: JsonObject, pointer: string): Json | undefined {
  let value: Json | undefined = row;
  for (const token of tokensOf(pointer)) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Object.hasOwn(value, token) ? (value as JsonObject)[token] : undefined;
  }
  return value;
}

/** `undefined` removes what is there. Objects on the way are copied, and made where there are none. */
export function withValue(row: JsonObject, pointer: string, value: Json | undefined): JsonObject {
  const [token, ...rest] = tokensOf(pointer);
  return token === undefined ? row : put(row, token, rest, value);
}

function put(object: JsonObject, token: string, rest: readonly string[], value: Json | undefined): JsonObject {
  const copy: Record<string, Json> = { ...object };
  const [next, ...further] = rest;
  if (next !== undefined) {
    const inner = object[token];
    const isObject = typeof inner === "object" && inner !== null && !Array.isArray(inner);
    copy[token] = put(isObject ? (inner as JsonObject) : {}, next, further, value);
  } else if (value === undefined) {
    delete copy[token];
  } else {
    copy[token] = value;
  }
  return copy;
}
