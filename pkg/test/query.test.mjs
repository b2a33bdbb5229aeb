import assert from "node:assert/strict";
import { test } from "node:test";
import { normaliseWhere } from "../dist/where.js";
import { open } from "./open.mjs";

const bad = (where) => assert.throws(() => normaliseWhere(where), { code: "bad-query" });

test("a filter becomes a tree of comparisons over pointers", () => {
  assert.equal(normaliseWhere({}), undefined);
  assert.deepEqual(normaliseWhere({ done: false }), { path: "/done", op: "eq", value: false });
  assert.deepEqual(normaliseWhere({ "address.city": null }), { path: "/address/city", op: "eq", value: null });
  assert.deepEqual(normaliseWhere({ $updatedAt: { gt: 5 } }), { path: "$updatedAt", op: "gt", value: 5 });
  assert.deepEqual(normaliseWhere({ id: "x" }), { path: "$id", op: "eq", value: "x" });
  assert.deepEqual(normaliseWhere({ tags: ["a"] }), { path: "/tags", op: "eq", value: ["a"] });
  assert.deepEqual(normaliseWhere({ $or: [{ a: 1 }, { $not: { b: { in: [1, null] } } }] }), {
    or: [{ path: "/a", op: "eq", value: 1 }, { not: { path: "/b", op: "in", value: [1, null] } }],
  });
  assert.deepEqual(normaliseWhere([[["a.b"], 1]]), { path: "/a.b", op: "eq", value: 1 });
});

test("an object is compared as a whole unless all of its keys are operators", () => {
  assert.deepEqual(normaliseWhere({ address: { city: "Oslo" } }), {
    path: "/address",
    op: "eq",
    value: { city: "Oslo" },
  });
  assert.deepEqual(normaliseWhere({ address: {} }), { path: "/address", op: "eq", value: {} });
  assert.deepEqual(normaliseWhere({ address: { eq: { gt: 1 } } }), { path: "/address", op: "eq", value: { gt: 1 } });
  bad({ address: { gt: 1, city: "Oslo" } });
});

test("equal filters give equal trees", () => {
  const one = normaliseWhere({ a: 1, b: { gt: 2, lt: 5 }, $and: [{ c: 3 }, { a: 1 }] });
  const two = normaliseWhere({ $and: [{ c: 3, b: { lt: 5 } }, { b: { gt: 2 } }], a: 1 });
  assert.deepEqual(one, two);
  assert.equal(one.and.length, 4);
});

test("undefined is refused wherever it stands, and never matches all", () => {
  for (const where of [
    undefined,
    { a: undefined },
    { a: { gt: undefined } },
    { a: { eq: { b: undefined } } },
    { $or: [{ a: undefined }] },
    { a: { in: [undefined] } },
    { $not: undefined },
  ])
    bad(where);
});

test("filters that cannot be answered are refused", () => {
  for (const where of [
    null,
    5,
    { $or: {} },
    { $not: {} },
    { $or: [{}] },
    { $nope: 1 },
    { a: { in: 5 } },
    { a: { gt: true } },
    { a: { startsWith: 5 } },
    { a: NaN },
    { a: new Date() },
  ])
    bad(where);
  const { db } = open();
  assert.throws(() => db.todos.where().limit(-1), { code: "bad-query" });
  assert.throws(() => db.todos.where().offset(1.5), { code: "bad-query" });
  assert.throws(() => db.todos.where().orderBy("title", "up"), { code: "bad-query" });
  assert.throws(() => db.todos.where().orderBy("$nope"), { code: "bad-query" });
});
