/** What the pure tools refuse, each with its code, whichever argument it comes in. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import {
  applyDiff,
  applyJsonPatch,
  applyMergePatch,
  diff,
  merge,
  ready,
  toJsonPatch,
  toMergePatch,
} from "tidewire/diff";

before(ready);

const cycle = {};
cycle.self = cycle;
const nested = (depth) => (depth === 0 ? 1 : { a: nested(depth - 1) });
const HOSTILE = [
  ["forbidden-key", JSON.parse('{"__proto__":{"polluted":true}}')],
  ["forbidden-key", JSON.parse('{"a":[{"constructor":1}]}')],
  ["forbidden-key", { prototype: 1 }],
  ["bad-value", cycle],
  ["bad-value", { a: NaN }],
  ["bad-value", { a: Infinity }],
  ["bad-value", { a: 1n }],
  ["bad-value", { a: () => 1 }],
  ["bad-value", { a: Symbol("a") }],
  ["bad-value", { a: [undefined] }],
  ["bad-value", { a: new Date(0) }],
  ["bad-value", { a: new Map() }],
  ["bad-value", { a: "\ud800" }],
  ["bad-value", { "\udc00": 1 }],
  ["too-deep", nested(65)],
  ["too-deep", { a: JSON.parse("[".repeat(5_000) + "]".repeat(5_000)) }],
];
const ENTRANCES = {
  "diff, before": (value) => diff(value, {}),
  "diff, after": (value) => diff({}, value),
  "applyDiff, document": (value) => applyDiff(value, { set: {}, unset: [] }),
  "applyDiff, diff": (value) => applyDiff({}, { set: { "/x": value }, unset: [] }),
  "toMergePatch, before": (value) => toMergePatch(value, {}),
  "toMergePatch, after": (value) => toMergePatch({}, value),
  "applyMergePatch, document": (value) => applyMergePatch(value, {}),
  "applyMergePatch, patch": (value) => applyMergePatch({}, value),
  "toJsonPatch, before": (value) => toJsonPatch(value, {}),
  "toJsonPatch, after": (value) => toJsonPatch({}, value),
  "applyJsonPatch, document": (value) => applyJsonPatch(value, []),
  "applyJsonPatch, patch": (value) => applyJsonPatch({}, [{ op: "add", path: "/x", value }]),
  "merge, base": (value) => merge(value, {}, {}),
  "merge, mine": (value) => merge({}, value, {}),
  "merge, theirs": (value) => merge({}, {}, value),
};

for (const [name, call] of Object.entries(ENTRANCES)) {
  test(`${name}: every hostile value is refused with its code`, () => {
    for (const [code, value] of HOSTILE) assert.throws(() => call(value), { name: "TidewireError", code });
    assert.equal({}.polluted, undefined);
  });
}

test("64 levels are allowed", () => {
  assert.deepEqual(Object.keys(diff({}, nested(64)).set), ["/a"]);
  assert.deepEqual(applyDiff({}, diff({}, nested(64))), nested(64));
  assert.deepEqual(applyJsonPatch({}, toJsonPatch({}, nested(64))), nested(64));
  assert.deepEqual(applyMergePatch({}, toMergePatch({}, nested(64))), nested(64));
  assert.deepEqual(merge({}, nested(64), {}).value, nested(64));
  assert.throws(() => applyDiff({}, { set: { "/a/a": nested(63) }, unset: [] }), { code: "too-deep" });
  assert.throws(() => applyJsonPatch({}, [{ op: "add", path: "/a", value: nested(64) }]), { code: "too-deep" });
});

test("a pointer cannot reach a prototype, and names a field", () => {
  for (const key of ["__proto__", "constructor", "prototype"]) {
    const path = `/${key}/polluted`;
    assert.throws(() => applyDiff({}, { set: { [path]: true }, unset: [] }), { code: "forbidden-key", path });
    assert.throws(() => applyDiff({}, { set: {}, unset: [path] }), { code: "forbidden-key", path });
    for (const op of ["add", "remove", "replace", "test"])
      assert.throws(() => applyJsonPatch({}, [{ op, path, value: true }]), { code: "forbidden-key", path });
    assert.throws(() => applyJsonPatch({}, [{ op: "copy", from: path, path: "/a" }]), { code: "forbidden-key" });
    assert.throws(() => merge({}, {}, {}, { fields: { [`${key}.x`]: "no-such" } }), { code: "bad-config" });
  }
  assert.equal({}.polluted, undefined);
  for (const path of ["", "a", "/~", "/~2", `/${"a".repeat(1_025)}`, "/a".repeat(65)])
    assert.throws(() => applyDiff({}, { set: { [path]: 1 }, unset: [] }), { code: "bad-path" });
  assert.throws(() => diff({}, { ["ä".repeat(512)]: 1 }), { code: "bad-path" });
});

test("what is no document, no diff or no strategy is refused", () => {
  for (const value of [null, 1, "text", [], true]) {
    assert.throws(() => diff(value, {}), { code: "wrong-type" });
    assert.throws(() => merge({}, value, {}), { code: "wrong-type" });
    assert.throws(() => applyDiff(value, { set: {}, unset: [] }), { code: "wrong-type" });
  }
  assert.throws(() => applyDiff({}, { set: {} }), { code: "bad-value" });
  assert.throws(() => applyDiff({}, { set: [], unset: [] }), { code: "bad-value" });
  assert.throws(() => applyDiff({ a: 1 }, { set: { "/a/b": 1 }, unset: [] }), { code: "wrong-type", path: "/a/b" });
  assert.throws(() => merge({}, {}, {}, { conflict: "counter" }), { code: "bad-config" });
  assert.throws(() => merge({}, {}, {}, { fields: { a: "toString" } }), { code: "bad-config" });
  assert.throws(() => merge({}, {}, {}, { later: "never" }), { code: "bad-config" });
});

test("a patch cannot fill the memory or go deeper than a document", () => {
  const twice = Array.from({ length: 40 }, (_, index) => ({ op: "copy", from: "", path: `/${index}` }));
  assert.throws(() => applyJsonPatch({ a: "x".repeat(100) }, twice), { name: "TidewireError" });
  const wide = Array.from({ length: 40 }, (_, index) => ({ op: "copy", from: "/a", path: `/a/${index}` }));
  assert.throws(() => applyJsonPatch({ a: { b: "x".repeat(1_000_000) } }, wide), { code: "too-large" });
  const deeper = [{ op: "copy", from: "", path: `/b${"/a".repeat(39)}` }];
  assert.throws(() => applyJsonPatch({ a: 1, b: nested(40) }, deeper), { code: "too-deep" });
  assert.throws(() => applyJsonPatch({}, [{ op: "remove", path: "/a".repeat(65) }]), { code: "too-deep" });
});
