/**
 * Edits in collections with fields that are not stored (`hidden`): an app may hold a row that it read while some of
 * them were missing, and give it back when they are there.
 *
 * Invariant: an edit that is sent names such a field, or what it is in, only where its author did, or knew its value.
 */
import { TidewireError } from "./errors.js";
import { canonicalJson, escapeToken, isJsonObject, type Json, type JsonObject } from "./json.js";
import type { Edit } from "./patch.js";
import { overlaps, placeOf, pointerKeys, readPointer, writePointer } from "./path.js";
import type { WirePatch } from "./wasm/wire.js";

/** Which of these fields a value says that it lacks. */
export function missingOf(value: unknown, hidden: readonly string[]): readonly string[] {
  const { $missing } = value as { readonly $missing?: unknown };
  return Array.isArray($missing) ? hidden.filter((path) => $missing.includes(pointerKeys(path).join("."))) : [];
}

/** An entity with the fields that its author did not know as they are. */
export function completed(entity: JsonObject, now: JsonObject, missing: readonly string[]): JsonObject {
  return missing.reduce((whole, path) => {
    const place = placeOf(now, path);
    if (place === undefined || readPointer(whole, place) !== undefined) return whole;
    return writePointer(whole, place, readPointer(now, place));
  }, entity);
}

/** Refuses the removal of fields by a whole value whose author may not have seen them: there was a row without them. */
export function refuseUnseen(
  before: JsonObject,
  after: JsonObject,
  fields: readonly string[],
  about: { readonly collection: string; readonly id: string },
): void {
  const lost = fields.find((path) => placeOf(before, path) !== undefined && placeOf(after, path) === undefined);
  if (lost === undefined) return;
  throw new TidewireError(
    "bad-mutation",
    `It would remove ${lost}, which was missing when the row was first read: give back the row with its ` +
      "`$missing`, or remove the field by its name with update().",
    { ...about, path: lost },
  );
}

/** What `edits` change, as deep as both sides hold objects, and nothing that stays the same. */
export function narrowed(
  edits: readonly Edit[],
  before: JsonObject,
  after: JsonObject,
  hidden: readonly string[],
  missing: readonly string[],
): readonly Edit[] {
  const changes = changedKeys(before, after, "", hidden);
  return edits.flatMap((edit): readonly Edit[] => {
    const { pointer, op } = edit;
    if ((op !== "set" && op !== "unset") || !hidden.some((path) => overlaps(path, pointer))) return [edit];
    const own = changes.filter((at) => at === pointer || at.startsWith(`${pointer}/`));
    if (own.length > 0) return own.map((at) => editAt(after, at));
    const isSame = op === "set" ? isAt(before, after, pointer) : missing.some((path) => overlaps(path, pointer));
    return isSame ? [] : [edit];
  });
}

/** The fields that `edits` remove without a word of them, by setting an object that they were in. */
export function implied(edits: readonly Edit[], hidden: readonly string[]): readonly string[] {
  const sets = edits.filter(({ op, value }) => op === "set" && isJsonObject(value));
  return hidden.filter((path) => sets.some(({ pointer }) => path.startsWith(`${pointer}/`)));
}

/** The patch that makes these fields what they are in an entity. */
export function patchOf(
  entity: JsonObject,
  pointers: readonly string[],
): Required<Pick<WirePatch, "set" | "unset">> {
  const edits = pointers.map((at) => editAt(entity, at));
  const isSet = ({ op }: Edit): boolean => op === "set";
  return {
    set: Object.fromEntries(edits.filter(isSet).map(({ pointer, value }) => [pointer, value as Json])),
    unset: edits.filter((edit) => !isSet(edit)).map(({ pointer }) => pointer),
  };
}

/**
 * Pointers of the fields at which two entities differ, as deep as both hold objects. What has one of `within` in it is
 * made field by field: there may be more of it elsewhere.
 */
export function changedKeys(
  before: JsonObject,
  after: JsonObject,
  prefix = "",
  within: readonly string[] = [],
): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) => {
    const pointer = `${prefix}/${escapeToken(key)}`;
    const [old, fresh] = [before, after].map((entity) => (Object.hasOwn(entity, key) ? entity[key] : undefined));
    const isMade = old === undefined && within.some((path) => path.startsWith(`${pointer}/`));
    if (isMade && isJsonObject(fresh) && Object.keys(fresh).length > 0) return changedKeys({}, fresh, pointer, within);
    if (old === undefined || fresh === undefined) return old === fresh ? [] : [pointer];
    if (canonicalJson(old) === canonicalJson(fresh)) return [];
    return isJsonObject(old) && isJsonObject(fresh) ? changedKeys(old, fresh, pointer, within) : [pointer];
  });
}

function editAt(entity: JsonObject, pointer: string): Edit {
  const value = readPointer(entity, pointer);
  return value === undefined ? { op: "unset", pointer } : { op: "set", pointer, value };
}

function isAt(one: JsonObject, other: JsonObject, pointer: string): boolean {
  const [a, b] = [one, other].map((entity) => readPointer(entity, pointer));
  return a !== undefined && b !== undefined && canonicalJson(a) === canonicalJson(b);
}
