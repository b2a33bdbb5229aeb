/** The decision on the device: the answers of the core's `authority` where a row's age is all that is known. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { changedFields, decide } from "../dist/backend/decide.js";

const edit = (parts) => ({ c: "todos", id: "1", kind: "patch", base: 5, at: [1_000, 0], ...parts });
const row = (value, more) => ({ rev: 9, value, deleted: false, version: "v", ...more });
const stored = (decided) => ({ ...decided.value });

test("what others left alone just applies; what the author saw is no conflict", () => {
  const mine = edit({ set: { "/a": 2 }, was: { "/a": 1 } });
  const decided = decide(mine, row({ a: 1, b: 7 }), {});
  assert.deepEqual(decided, { kind: "update", value: { a: 2, b: 7 }, overwritten: [], displaced: [] });
  // A chain of one's own edits: the second saw what the first wrote.
  const next = decide(edit({ set: { "/a": 3 }, was: { "/a": 2 } }), row(stored(decided)), {});
  assert.deepEqual([next.value, next.displaced], [{ a: 3, b: 7 }, []]);
});

test("a row that is no newer than the edit's base has no concurrent writes, whatever the author saw", () => {
  const mine = edit({ base: 9, set: { "/a": 2 }, was: { "/a": 1 } });
  const decided = decide(mine, row({ a: 5 }), { conflict: "server-wins" });
  assert.deepEqual([decided.value, decided.displaced], [{ a: 2 }, []]);
});

test("last-write-wins compares with the row's time, and without one the edit wins", () => {
  const mine = edit({ set: { "/a": 2 }, was: { "/a": 1 } });
  const lost = [{ path: "/a", yours: 2, kept: 5 }];
  const won = [{ path: "/a", yours: 5, kept: 2 }];
  assert.deepEqual(decide(mine, row({ a: 5 }, { updatedAt: 999 }), {}).displaced, won);
  assert.deepEqual(decide(mine, row({ a: 5 }), {}).displaced, won);
  const later = decide(mine, row({ a: 5 }, { updatedAt: 1_001 }), {});
  assert.deepEqual(later, { verdict: "merged", rev: 9, overwritten: lost, displaced: [] });
});

test("an edit that is there already stores nothing", () => {
  const mine = edit({ set: { "/a": 2 }, unset: ["/b"], was: { "/a": 1, "/b": 1 } });
  assert.deepEqual(decide(mine, row({ a: 2, c: 1 }), {}), { verdict: "applied", rev: 9 });
  const insert = edit({ kind: "insert", base: 0, set: { "/a": 1 } });
  assert.deepEqual(decide(insert, row({ a: 1, made: "by the backend" }), {}), { verdict: "applied", rev: 9 });
  assert.equal(decide(insert, row({ a: 2 }), {}).code, "exists");
  assert.deepEqual(decide(edit({ kind: "delete" }), row({}, { deleted: true }), {}), { verdict: "applied", rev: 9 });
});

test("operators act on what stands, and not on what does not fit", () => {
  const ops = { inc: { "/n": 2 }, add: { "/tags": ["x", "y"] }, remove: { "/gone": ["a"], "/none": ["a"] } };
  const decided = decide(edit(ops), row({ n: 5, tags: ["y"], gone: ["a", "b"] }), {});
  assert.deepEqual(decided.value, { n: 7, tags: ["y", "x"], gone: ["b"] });
  assert.deepEqual(decide(edit({ inc: { "/n": 2 } }), row({}), {}).value, { n: 2 });
  for (const value of [{ n: "5" }, { n: null }, { n: 1.7e308 }]) {
    const refused = decide(edit({ inc: { "/n": 1.7e308 } }), row(value), {});
    assert.deepEqual([refused.verdict, refused.code, refused.path], ["rejected", "wrong-type", "/n"]);
  }
});

test("paths overlap: a field below a value that somebody put in its place loses, and is returned", () => {
  const mine = edit({ set: { "/place/city": "Ulm" }, was: { "/place/city": "Bonn" } });
  const decided = decide(mine, row({ place: "nowhere" }), { conflict: "client-wins" });
  assert.deepEqual(decided.overwritten, [{ path: "/place/city", yours: "Ulm" }]);
  const whole = edit({ set: { "/place": { city: "Ulm" } }, was: { "/place": { city: "Bonn", zip: "5" } } });
  const both = decide(whole, row({ place: { city: "Bonn", zip: "6" } }), { fields: { "/place/zip": "server-wins" } });
  assert.deepEqual(both.value, { place: { city: "Ulm", zip: "6" } });
});

test("what is missing is held, what was seen and is gone is deleted, a revision that was named must stand", () => {
  assert.deepEqual(decide(edit({ base: 0, set: { "/a": 1 } }), undefined, {}), { verdict: "held", reason: "missing" });
  assert.equal(decide(edit({ set: { "/a": 1 } }), undefined, {}).code, "deleted");
  const tombstone = row({ a: 1, b: 2 }, { deleted: true });
  assert.equal(decide(edit({ set: { "/a": 3 } }), tombstone, {}).code, "deleted");
  const revived = decide(edit({ set: { "/a": 3 }, was: { "/a": 1 } }), tombstone, { onDeleteConflict: "update-wins" });
  assert.deepEqual([revived.kind, revived.value], ["insert", { a: 3, b: 2 }]);
  assert.equal(decide(edit({ if_rev: 5, set: { "/a": 1 } }), row({}), {}).code, "stale-rev");
  assert.equal(decide(edit({ if_rev: 9, set: { "/a": 1 } }), row({}), {}).kind, "update");
  assert.equal(decide(edit({ c: "$conflicts", set: { "/a": 1 } }), row({}), {}).code, "unknown-collection");
});

test("the fields that change: by top-level name, null for what goes", () => {
  const [before, after] = [{ a: 1, b: { c: 1 }, d: 1 }, { a: 1, b: { c: 2 }, e: 1 }];
  assert.deepEqual(changedFields(before, after), { b: { c: 2 }, d: null, e: 1 });
});
