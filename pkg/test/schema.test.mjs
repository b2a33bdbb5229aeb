import assert from "node:assert/strict";
import { test } from "node:test";
import * as v from "valibot";
import { z } from "zod";
import { inc } from "../dist/index.js";
import { open, refused } from "./open.mjs";

const libraries = {
  zod: {
    notes: z.object({
      title: z.string().trim().min(1),
      size: z.number().max(10).default(1),
      nested: z.object({ a: z.string() }).optional(),
    }),
    strict: z
      .object({ from: z.number(), to: z.number() })
      .refine((value) => value.from <= value.to, "from must not be after to"),
    slow: z.object({ title: z.string().refine(async () => true) }),
    broken: z.object({ when: z.string().transform(() => new Date()) }),
  },
  valibot: {
    notes: v.object({
      title: v.pipe(v.string(), v.trim(), v.minLength(1)),
      size: v.optional(v.pipe(v.number(), v.maxValue(10)), 1),
      nested: v.optional(v.object({ a: v.string() })),
    }),
    strict: v.pipe(
      v.object({ from: v.number(), to: v.number() }),
      v.check((value) => value.from <= value.to, "from must not be after to"),
    ),
    slow: v.objectAsync({
      title: v.pipeAsync(
        v.string(),
        v.checkAsync(async () => true),
      ),
    }),
    broken: v.object({
      when: v.pipe(
        v.string(),
        v.transform(() => new Date()),
      ),
    }),
  },
};

for (const [library, collections] of Object.entries(libraries)) {
  test(`${library}: insert validates, fills defaults and stores what the validator returned`, async () => {
    const { db, factory } = open({}, { collections });
    const write = db.notes.insert({ title: "  a  " });
    await write;
    assert.deepEqual(factory.client.lastRequest.ops[0].value, { title: "a", size: 1 });
    const error = await refused(db.notes.insert({ title: "a", nested: { a: 5 } }));
    assert.deepEqual([error.code, error.path, error.collection], ["invalid", "/nested/a", "notes"]);
    assert.ok(error.cause[0].message);
  });

  test(`${library}: update validates the entity that would result`, async () => {
    const { db, factory } = open({}, { collections });
    const { id } = db.notes.insert({ title: "a", size: 9 });
    assert.equal((await refused(db.notes.update(id, { size: inc(5) }))).path, "/size");
    await db.notes.update(id, { title: " b ", size: inc(1) });
    assert.deepEqual(
      [factory.client.lastRequest.ops[0].set, factory.client.lastRequest.ops[0].inc],
      [{ "/title": "b" }, { "/size": 1 }],
    );
    assert.equal((await refused(db.notes.update(id, (draft) => void (draft.nested = { a: 1 })))).path, "/nested/a");
    assert.equal((await refused(db.notes.update(id, { title: undefined }))).path, "/title");
  });

  test(`${library}: what was wrong before does not keep other fields from being edited`, async () => {
    const { db, factory } = open({}, { collections });
    await db.notes.where().get();
    factory.client.remote("notes", "old", { title: "", size: 3 });
    await db.notes.update("old", { size: 4 });
    assert.equal(db.notes.peek("old").size, 4);
    assert.equal((await refused(db.notes.update("old", { title: "" }))).code, "invalid");
    factory.client.remote("strict", "old", { from: 5, to: 1 });
    await db.strict.update("old", { to: 2 });
    const { id } = db.strict.insert({ from: 1, to: 2 });
    assert.equal((await refused(db.strict.update(id, { to: 0 }))).code, "invalid");
  });

  test(`${library}: an asynchronous validator and an output that is not JSON are refused`, async () => {
    const { db } = open({}, { collections });
    assert.equal((await refused(db.slow.insert({ title: "a" }))).code, "async-schema");
    const error = await refused(db.broken.insert({ when: "now" }));
    assert.deepEqual([error.code, error.path], ["bad-value", "/when"]);
  });
}

test("the validator never sees the id", async () => {
  const seen = [];
  const spy = {
    "~standard": { version: 1, vendor: "spy", validate: (value) => (seen.push(Object.keys(value)), { value }) },
  };
  const { db } = open({}, { collections: { spied: spy } });
  await db.spied.insert({ id: "a", x: 1 });
  await db.spied.update("a", { x: 2 });
  await db.spied.upsert({ ...db.spied.peek("a"), x: 3 });
  assert.deepEqual(seen, [["x"], ["x"], ["x"]]);
});
