/** How much of a collection is kept: what the options come to, and which are refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { collection } from "../dist/index.js";
import { open, todo } from "./open.mjs";

const openWith = (options) => open({}, { collections: { todos: collection(todo, options) } }).db;

test("options that cannot be are refused with what to do", () => {
  const refused = (replicate, code = "bad-config", more = {}) =>
    assert.throws(() => openWith({ replicate, ...more }), { code });
  const bad = ["some", 5, null, { ttlMs: 0 }, { ttlMs: 1.5 }, { maxEntities: "5" }, { max: 5 }];
  for (const replicate of bad) refused(replicate);
  refused({ where: { done: undefined } }, "bad-query");
  refused({ where: { $status: "pending" } });
  refused({ where: { $or: [{ done: true }, { $not: { due: "x" } }] } }, "bad-config", { local: ["due"] });
  refused({ where: { "address.city": "Ulm" } }, "bad-config", { local: ["address"] });
});

test("what is not stored has no local fields beside it, and is kept whole", () => {
  assert.throws(() => openWith({ sensitive: ["due"], local: ["tags"] }), { code: "bad-config" });
  assert.throws(() => openWith({ sensitive: ["due"], replicate: "none" }), { code: "bad-config" });
});

test("options that can be are taken", () => {
  const all = { where: { done: false, $rev: { gt: 3 } }, ttlMs: 1, maxEntities: 1 };
  for (const replicate of ["full", "none", {}, { where: {} }, all])
    openWith({ replicate, local: ["due"] }).close();
});
