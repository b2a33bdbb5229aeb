import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { add, inc } from "../dist/index.js";
import { openWith } from "../dist/db.js";
import { fakeFactory } from "./fake.mjs";

let count = 0;
const schema = z.object({ title: z.string().min(1), done: z.boolean().default(false), votes: z.number().default(0), tags: z.array(z.string()).default([]) });
export const open = (options = {}, config = {}) => {
  const factory = fakeFactory(options);
  const db = openWith({ name: `db${(count += 1)}`, collections: { todos: schema }, ...config }, factory);
  return { db, factory };
};

test("a write before the store is open has its id at once and is visible when it opens", async () => {
  const { db } = open();
  const write = db.todos.insert({ title: "Milk" });
  assert.match(write.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
  assert.equal(db.todos.peek(write.id), undefined);
  await write;
  const row = db.todos.peek(write.id);
  assert.equal(row.title, "Milk");
  assert.equal(row.done, false);
  assert.ok(Object.isFrozen(row) && Object.isFrozen(row.tags));
});

test("an update carries operators as such", async () => {
  const { db, factory } = open();
  const { id } = db.todos.insert({ title: "Milk" });
  await db.todos.update(id, { done: true, votes: inc(2), tags: add("shop") });
  assert.deepEqual(factory.client.lastRequest.ops, [{ op: "patch", c: "todos", id, set: { "/done": true }, inc: { "/votes": 2 }, add: { "/tags": ["shop"] } }]);
  assert.equal(db.todos.peek(id).votes, 2);
});
