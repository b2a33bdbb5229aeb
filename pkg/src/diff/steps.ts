/**
 * An edit as leaf steps: setting or removing an object counts as its leaves, an object before its fields where it
 * comes, and after them where it goes.
 */
import { escapeToken, isJsonObject, type Json, type JsonObject } from "../json.js";
import { compareDocuments } from "./diff.js";
import { fieldKeys, getField } from "./document.js";

/** What an edit does at one path. */
export interface Step {
  readonly path: string;
  readonly keys: readonly string[];
  /** What its author saw there. */
  readonly was: Json | undefined;
  /** What is written; of an object only that it comes, its fields are steps of their own. */
  readonly now: Json | undefined;
}

/** The steps from one document to another. */
export function stepsBetween(before: JsonObject, after: JsonObject): readonly Step[] {
  const { set, unset } = compareDocuments(before, after);
  const was = (path: string): Json | undefined => getField(before, fieldKeys(path));
  const sets = Object.entries(set).sort(([one], [other]) => (one < other ? -1 : 1));
  return [
    ...sets.flatMap(([path, value]) => split(path, was(path), value)),
    ...unset.flatMap((path) => split(path, was(path), undefined)),
  ];
}

function split(path: string, was: Json | undefined, now: Json | undefined): readonly Step[] {
  const step: Step = { path, keys: fieldKeys(path), was, now };
  const child = (key: string): string => `${path}/${escapeToken(key)}`;
  if (now === undefined && isJsonObject(was)) {
    return [...Object.entries(was).flatMap(([key, value]) => split(child(key), value, undefined)), step];
  }
  if (!isJsonObject(now)) return [step];
  return [step, ...Object.entries(now).flatMap(([key, value]) => split(child(key), undefined, value))];
}
