/** The pure tools answer as the core does: its tests write the golden cases (`core/tests/golden_tools.rs`). */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, test } from "node:test";
import {
  applyDiff,
  applyJsonPatch,
  applyMergePatch,
  diff,
  merge,
  ready,
  TidewireError,
  toJsonPatch,
  toMergePatch,
} from "tidewire/diff";

const cases = (name) =>
  JSON.parse(readFileSync(new URL(`../../core/tests/golden/${name}.json`, import.meta.url), "utf8"));
const diffs = cases("tools-diff");
const merges = [...cases("tools-merge"), ...cases("tools-arrays")];
const pairs = [
  ...diffs.map(({ before: one, after }) => [one, after]),
  ...merges.flatMap(({ base, mine, theirs }) => [[base, mine], [mine, theirs], [theirs, base]]),
];
const byPath = (list) => list.toSorted((one, other) => (one.path < other.path ? -1 : 1));

before(ready);

test("diff finds what the core finds", () => {
  for (const { before: one, after, set, unset } of diffs) {
    const found = diff(one, after);
    assert.deepEqual({ set: found.set, unset: found.unset.toSorted() }, { set, unset: unset.toSorted() });
  }
});

test("merge comes to what the core comes to, and names the same values that lost", () => {
  const lost = { overwritten: 0, displaced: 0 };
  for (const { base, mine, theirs, strategies, merged } of merges) {
    const { value, overwritten, displaced } = merge(base, mine, theirs, strategies);
    const about = JSON.stringify({ base, mine, theirs, strategies });
    assert.deepEqual(value, merged.value, about);
    assert.deepEqual(byPath(overwritten), byPath(merged.overwritten), about);
    assert.deepEqual(byPath(displaced), byPath(merged.displaced), about);
    lost.overwritten += overwritten.length;
    lost.displaced += displaced.length;
  }
  assert.ok(lost.overwritten > 50 && lost.displaced > 50, "the cases do meet conflicts");
});

test("what changed, applied to what it was, is what it is: as a diff, as a JSON Patch, as a Merge Patch", () => {
  let refused = 0;
  for (const [one, other] of pairs) {
    const text = JSON.stringify([one, other]);
    assert.deepEqual(applyDiff(one, diff(one, other)), other, text);
    assert.deepEqual(applyJsonPatch(one, toJsonPatch(one, other)), other, text);
    try {
      assert.deepEqual(applyMergePatch(one, toMergePatch(one, other)), other, text);
    } catch (error) {
      assert.ok(error instanceof TidewireError && error.code === "bad-value", text);
      const keys = error.path.split("/").slice(1).map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
      assert.equal(keys.reduce((value, key) => value[key], other), null, "only what becomes null is refused");
      refused += 1;
    }
    assert.equal(JSON.stringify([one, other]), text, "the arguments are left alone");
  }
  assert.ok(refused > 0 && refused < pairs.length / 2);
});

test("a document merged with itself, or with no change, is the other one", () => {
  for (const { base, mine, theirs, strategies } of merges) {
    assert.deepEqual(merge(base, mine, base, strategies).value, mine);
    assert.deepEqual(merge(base, base, theirs, strategies), { value: theirs, overwritten: [], displaced: [] });
  }
});

test("merge by hand: fields join, counters add, who loses is named", () => {
  const base = { title: "a", votes: 3, done: false };
  const mine = { title: "b", votes: 4, done: false };
  const theirs = { title: "c", votes: 5, done: true };
  const fields = { votes: "counter" };
  assert.deepEqual(merge(base, mine, theirs, { fields }), {
    value: { title: "b", votes: 6, done: true },
    overwritten: [],
    displaced: [{ path: "/title", yours: "c", kept: "b" }],
  });
  for (const strategies of [{ later: "theirs" }, { conflict: "server-wins" }]) {
    assert.deepEqual(merge(base, mine, theirs, { ...strategies, fields }).overwritten, [
      { path: "/title", yours: "b", kept: "c" },
    ]);
  }
});
