/**
 * JSON Merge Patch (RFC 7396): a document with what changed, and null for what is gone.
 *
 * It cannot say that a field becomes null, and it replaces arrays whole. Where a change needs the former,
 * {@link toMergePatch} refuses instead of losing it: `toJsonPatch` can say everything.
 */
import { TidewireError } from "../errors.js";
import { cleanJson, escapeToken, isJsonObject, type Json } from "../json.js";
import { isEqual } from "./document.js";

/** The merge patch that makes `after` of `before`. Equal objects give `{}`. */
export function toMergePatch(before: unknown, after: unknown): Json {
  const [old, now] = [cleanJson(before), cleanJson(after)];
  return between(old, now, "");
}

/** A copy of `document` with a merge patch applied: the procedure of the RFC's section 2. */
export function applyMergePatch(document: unknown, patch: unknown): Json {
  return patched(cleanJson(document), cleanJson(patch));
}

/** An object in place of another value says all of its fields; what is no object is said whole. */
function between(old: Json, now: Json, at: string): Json {
  if (!isJsonObject(now)) return now;
  const was = isJsonObject(old) ? old : {};
  const gone = Object.keys(was).filter((key) => !Object.hasOwn(now, key));
  const changes = Object.entries(now).flatMap(([key, value]): [string, Json][] => {
    const pointer = `${at}/${escapeToken(key)}`;
    const before = Object.hasOwn(was, key) ? was[key] : undefined;
    if (isEqual(before, value)) return [];
    if (value === null) throw noNull(pointer);
    return [[key, between(before ?? null, value, pointer)]];
  });
  return Object.fromEntries([...gone.map((key): [string, Json] => [key, null]), ...changes]);
}

function patched(target: Json, patch: Json): Json {
  if (!isJsonObject(patch)) return patch;
  const result = new Map(isJsonObject(target) ? Object.entries(target) : []);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) result.delete(key);
    else result.set(key, patched(result.get(key) ?? null, value));
  }
  return Object.fromEntries(result);
}

function noNull(pointer: string): TidewireError {
  return new TidewireError(
    "bad-value",
    `${pointer} becomes null, which a merge patch reads as "remove". Use toJsonPatch(), or leave the field out.`,
    { path: pointer },
  );
}
