/**
 * JSON Patch (RFC 6902): a list of operations, carried out in order, all or none.
 *
 * {@link toJsonPatch} goes down objects and replaces an array whole, as everything in Tidewire does: the position of an
 * item means nothing where somebody else may have edited the array. {@link applyJsonPatch} takes every operation that
 * the RFC has, positions included.
 */
import { TidewireError } from "../errors.js";
import { cleanJson, escapeToken, isJsonObject, type Json } from "../json.js";
import { anyKeys, type Draft, isEqual } from "./document.js";

/** One operation. */
export type JsonPatchOperation =
  | { readonly op: "add" | "replace" | "test"; readonly path: string; readonly value: Json }
  | { readonly op: "remove"; readonly path: string }
  | { readonly op: "move" | "copy"; readonly from: string; readonly path: string };

/** A JSON Patch document. */
export type JsonPatch = readonly JsonPatchOperation[];

type Container = Draft | Json[];

/** What the copies of one patch may add up to, as text: a few `copy` of what grows would fill any memory. */
const COPIES_MAX = 8 * 1024 * 1024;
const DEPTH_MAX = 64;

/** The patch that makes `after` of `before`, of `add`, `remove` and `replace`. Equal values give `[]`. */
export function toJsonPatch(before: unknown, after: unknown): JsonPatch {
  const patch: JsonPatchOperation[] = [];
  const compare = (path: string, old: Json, now: Json): void => {
    if (isEqual(old, now)) return;
    if (!isJsonObject(old) || !isJsonObject(now)) {
      patch.push({ op: "replace", path, value: now });
      return;
    }
    for (const key of Object.keys(old)) {
      if (!Object.hasOwn(now, key)) patch.push({ op: "remove", path: `${path}/${escapeToken(key)}` });
    }
    for (const [key, value] of Object.entries(now)) {
      const at = `${path}/${escapeToken(key)}`;
      if (Object.hasOwn(old, key)) compare(at, old[key] as Json, value);
      else patch.push({ op: "add", path: at, value });
    }
  };
  compare("", cleanJson(before), cleanJson(after));
  return patch;
}

/** A copy of `document` with a patch applied, all of it or (by an error) nothing. */
export function applyJsonPatch(document: unknown, patch: JsonPatch): Json {
  if (!Array.isArray(patch)) throw badPatch("A JSON Patch is an array of operations");
  // One member above the document, so that the root is a place like any other.
  const root: Draft = { "": cleanJson(document) };
  const room = { left: COPIES_MAX };
  for (const operation of patch as readonly unknown[]) carryOut(root, operation, room);
  // `move` and `copy` can stack a document into itself: what comes out is a document like any other.
  return cleanJson(root[""]);
}

/** Values are checked one by one: a document may be as deep in a patch as out of it. */
function carryOut(root: Draft, operation: unknown, room: { left: number }): void {
  if (typeof operation !== "object" || operation === null) throw badPatch("An operation of a JSON Patch is an object");
  const { op, path, ...more } = operation as Record<string, unknown>;
  if (typeof op !== "string") throw badPatch('An operation needs an "op"');
  const to = keysOf(path, op);
  const value = (): Json => {
    if (more["value"] !== undefined) return cleanJson(more["value"], path as string);
    throw badPatch(`"${op}" needs a "value"`);
  };
  const from = (): readonly string[] => keysOf(more["from"], op);
  switch (op) {
    case "add":
      return add(root, to, value());
    case "remove":
      take(root, to);
      return;
    case "replace":
      read(root, to);
      return put(root, to, value());
    case "move":
      if (startsWith(to, from()) && to.length > from().length) throw misfit(path, "a value cannot move into itself");
      return add(root, to, cleanJson(take(root, from())));
    case "copy": {
      const copy = cleanJson(read(root, from()));
      room.left -= JSON.stringify(copy).length;
      if (room.left < 0) throw new TidewireError("too-large", "The copies of this patch add up to over 8 MiB.");
      return add(root, to, copy);
    }
    case "test":
      if (!isEqual(read(root, to), value())) throw misfit(path, "the value is not the one that the patch expects");
      return;
    default:
      throw badPatch(`There is no operation ${JSON.stringify(op)}`);
  }
}

function add(root: Draft, keys: readonly string[], value: Json): void {
  const { parent, key, path } = placeOf(root, keys);
  if (!Array.isArray(parent)) parent[key] = value;
  else parent.splice(key === "-" ? parent.length : indexOf(key, parent.length, path), 0, value);
}

function put(root: Draft, keys: readonly string[], value: Json): void {
  const { parent, key } = placeOf(root, keys);
  (parent as Draft)[key] = value;
}

function take(root: Draft, keys: readonly string[]): Json {
  const value = read(root, keys);
  const { parent, key, path } = placeOf(root, keys);
  if (path === "") throw badPatch("A patch cannot remove the whole document");
  if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else delete parent[key];
  return value;
}

function read(root: Draft, keys: readonly string[]): Json {
  const { parent, key, path } = placeOf(root, keys);
  if (Array.isArray(parent)) return parent[indexOf(key, parent.length - 1, path)] as Json;
  if (!Object.hasOwn(parent, key)) throw misfit(path, "there is nothing");
  return parent[key] as Json;
}

/** The container of a place, which must be there, and the place's key in it. */
function placeOf(root: Draft, keys: readonly string[]): { parent: Container; key: string; path: string } {
  const path = keys.slice(1).map((key) => `/${escapeToken(key)}`).join("");
  let parent: Container = root;
  for (const key of keys.slice(0, -1)) {
    const index: string | number = Array.isArray(parent) ? indexOf(key, parent.length - 1, path) : key;
    const child: Json | undefined = Object.hasOwn(parent, index) ? (parent as Draft)[index] : undefined;
    if (typeof child !== "object" || child === null) throw misfit(path, "there is nothing to hold it");
    parent = child as Container;
  }
  return { parent, key: keys.at(-1) as string, path };
}

function indexOf(key: string, max: number, path: string): number {
  const index = /^(?:0|[1-9]\d*)$/.test(key) ? Number(key) : -1;
  if (index < 0 || index > max) throw misfit(path, `${JSON.stringify(key)} is no position in the array`);
  return index;
}

/** The keys of a pointer below the member that holds the document. */
function keysOf(pointer: unknown, op: string): readonly string[] {
  if (typeof pointer !== "string") throw badPatch(`"${op}" needs a JSON Pointer`);
  const keys = anyKeys(pointer);
  if (keys.length <= DEPTH_MAX) return ["", ...keys];
  throw new TidewireError("too-deep", `${pointer}: nested deeper than ${DEPTH_MAX} levels.`, { path: pointer });
}

function startsWith(keys: readonly string[], head: readonly string[]): boolean {
  return head.every((key, index) => keys[index] === key);
}

function badPatch(what: string): TidewireError {
  return new TidewireError("bad-patch", `${what} (RFC 6902).`);
}

function misfit(path: unknown, why: string): TidewireError {
  return new TidewireError("patch-failed", `${String(path) || "The document"}: ${why}. Nothing was changed.`, {
    path: String(path),
  });
}
