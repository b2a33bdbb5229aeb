/** The pure tools by their types. Compiled, not run. */
import {
  applyDiff,
  applyJsonPatch,
  applyMergePatch,
  diff,
  merge,
  ready,
  toJsonPatch,
  toMergePatch,
  type Diff,
  type Json,
  type JsonObject,
  type JsonPatch,
  type JsonPatchOperation,
  type Lost,
  type Merged,
  type MergeStrategies,
} from "tidewire/diff";

const loaded: Promise<void> = ready();
const changes: Diff = diff({ a: 1 }, { a: 2 });
const document: JsonObject = applyDiff({ a: 1 }, changes);
const patch: JsonPatch = toJsonPatch({ a: 1 }, { a: 2 });
const mergePatch: Json = toMergePatch({ a: 1 }, { a: 2 });
const patched: Json[] = [applyJsonPatch({ a: 1 }, patch), applyMergePatch({ a: 1 }, mergePatch)];
const strategies: MergeStrategies = { conflict: "merge", fields: { "a.b": "counter", tags: "union" }, later: "theirs" };
const merged: Merged = merge({}, { a: 1 }, { a: 2 }, strategies);
const lost: readonly Lost[] = [...merged.overwritten, ...merged.displaced];
export const all = [loaded, document, patched, lost];

const operation: JsonPatchOperation = { op: "move", from: "/a", path: "/b" };
// @ts-expect-error An operation that RFC 6902 does not have.
const unknownOperation: JsonPatchOperation = { op: "spam", path: "/b" };
// @ts-expect-error "move" needs "from".
const incomplete: JsonPatchOperation = { op: "move", path: "/b" };
// @ts-expect-error A collection as a whole is no counter.
merge({}, {}, {}, { conflict: "counter" });
// @ts-expect-error A diff cannot be changed.
changes.set["/a"] = 3;
export const operations = [operation, unknownOperation, incomplete];
