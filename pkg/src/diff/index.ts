/**
 * The pure tools: what changed, in three notations, and three-way merge.
 *
 * They need no database and load nothing: a small module of its own, no part of the client (`docs/decisions` says
 * why). They give the answers that the core gives, held to it by golden cases that the core's tests write.
 */
export { TidewireError } from "../errors.js";
export type { Json, JsonObject } from "../json.js";
export { applyDiff, diff, type Diff } from "./diff.js";
export { applyJsonPatch, toJsonPatch, type JsonPatch, type JsonPatchOperation } from "./json-patch.js";
export { merge, type FieldStrategy, type Lost, type Merged, type MergeStrategies } from "./merge.js";
export { applyMergePatch, toMergePatch } from "./merge-patch.js";

/** Resolves when the tools can be used: today at once. Await it, and a release that loads something changes nothing. */
export async function ready(): Promise<void> {
  return Promise.resolve();
}
