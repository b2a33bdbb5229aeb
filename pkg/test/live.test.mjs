import assert from "node:assert/strict";
import { test } from "node:test";
import { inc, meta } from "../dist/index.js";
import { settled } from "./fake.mjs";
import { open, refused } from "./open.mjs";

test("a row is frozen all the way down and keeps its identity until its data or its $sync changes", async () => {
  const { db, factory } = open();
  await db.todos.insert({ title: "a", id: "a", tags: ["x"] });
  const row = db.todos.peek("a");
  assert.ok(Object.isFrozen(row) && Object.isFrozen(row.tags) && Object.isFrozen(row.$sync));
  assert.throws(() => row.tags.push("y"), TypeError);
  assert.equal(await db.todos.get("a"), row);
  assert.equal((await db.todos.where().get())[0], row);
  factory.client.emit([{ type: "changed", collection: "todos", ids: ["a"], origin: "remote" }]);
  assert.equal(db.todos.peek("a"), row, "told that it changed, but it did not");
  await db.todos.update("a", { done: true });
  const edited = db.todos.peek("a");
  assert.notEqual(edited, row);
  const { id, $sync, $rev, $updatedAt, ...data } = edited;
  factory.client.remote("todos", "a", data);
  assert.notEqual(db.todos.peek("a"), edited, "same data, another $sync");
  assert.equal(db.todos.peek("a").$sync.status, "synced");
});

test("what Tidewire knows about a row survives a spread", async () => {
  const { db } = open();
  await db.todos.insert({ title: "a", id: "a" });
  const row = db.todos.peek("a");
  const known = { $sync: row.$sync, $rev: row.$rev, $updatedAt: row.$updatedAt };
  assert.deepEqual(meta({ ...row, title: "b" }), known);
  assert.deepEqual(meta({ ...row, $missing: ["ssn"] }), { ...known, $missing: ["ssn"] });
});

test("a stored key named __proto__ stays a key", async () => {
  const { db, factory } = open();
  await db.todos.where().get();
  factory.client.row = () =>
    '{"id":"p","title":"x","__proto__":{"admin":true},"$sync":{"status":"synced"},"$rev":1,"$updatedAt":1}';
  factory.client.emit([{ type: "changed", collection: "todos", ids: ["p"], origin: "remote" }]);
  const row = db.todos.peek("p");
  assert.equal(row.admin, undefined);
  assert.equal(Object.getPrototypeOf(row), Object.prototype);
});

test("a list keeps its identity if nothing in it changed, and shares the rows that did not", async () => {
  const { db, factory } = open();
  await db.todos.insertMany(Array.from({ length: 20 }, (_, n) => ({ title: `t${n}`, id: `id${n}` })));
  const query = db.todos.where({ done: false });
  const before = await query.get();
  assert.ok(Object.isFrozen(before));
  factory.client.remote("todos", "other", { title: "o", done: true, votes: 0, tags: [] });
  assert.equal(query.peek(), before);
  await db.todos.update("id3", { votes: inc(1) });
  const after = query.peek();
  assert.notEqual(after, before);
  assert.equal(after.filter((row, index) => row !== before[index]).length, 1);
});

test("equal queries share one result, however they are written", async () => {
  const { db, factory } = open();
  await db.todos.insert({ title: "a" });
  const one = db.todos
    .where({ done: false, votes: { lt: 3, gte: 0 } })
    .orderBy("title")
    .limit(5);
  const two = db.todos
    .where({ votes: { gte: 0, lt: 3 } })
    .where({ done: false })
    .orderBy("title", "asc")
    .limit(5);
  const calls = factory.client.calls.query;
  assert.equal(one.peek(), two.peek());
  assert.equal(factory.client.calls.query, calls + 1);
});

test("peek is current at once; frame subscribers hear once, sync subscribers at once", async () => {
  const { db } = open();
  await db.todos.where().get();
  const query = db.todos.where();
  const [frame, sync] = [[], []];
  query.subscribe((rows) => frame.push(rows.length));
  const stop = query.subscribe((rows) => sync.push(rows.length), { flush: "sync" });
  assert.deepEqual([frame, sync], [[], [0]]);
  db.todos.insert({ title: "a" });
  db.todos.insert({ title: "b" });
  assert.equal(query.peek().length, 2);
  assert.deepEqual([frame, sync], [[], [0, 1, 2]]);
  await settled();
  assert.deepEqual(frame, [2]);
  stop();
  await db.todos.insert({ title: "c" });
  await settled();
  assert.deepEqual(
    [frame, sync],
    [
      [2, 3],
      [0, 1, 2],
    ],
  );
});

test("with a visible page delivery waits for a frame, but not for ever", async (t) => {
  const frames = [];
  globalThis.document = { visibilityState: "visible" };
  globalThis.requestAnimationFrame = (fn) => frames.push(fn);
  globalThis.cancelAnimationFrame = (handle) => (frames[handle - 1] = undefined);
  t.after(() => {
    delete globalThis.document;
    delete globalThis.requestAnimationFrame;
    delete globalThis.cancelAnimationFrame;
  });
  const { db } = open();
  await db.todos.where().get();
  const seen = [];
  db.todos.where().subscribe((rows) => seen.push(rows.length));
  await settled();
  assert.deepEqual(seen, []);
  frames.splice(0).forEach((fn) => fn?.());
  assert.deepEqual(seen, [0]);
  await db.todos.insert({ title: "a" });
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.deepEqual(seen, [0, 1], "no frame came, as in a page that was hidden meanwhile");
});

test("a subscriber that throws disturbs no other", async (t) => {
  const thrown = [];
  const queue = globalThis.queueMicrotask;
  t.after(() => (globalThis.queueMicrotask = queue));
  globalThis.queueMicrotask = (fn) =>
    queue(() => {
      try {
        fn();
      } catch (error) {
        thrown.push(error.message);
      }
    });
  const { db } = open();
  await db.todos.where().get();
  const seen = [];
  db.todos.where().subscribe(
    () => {
      throw new Error("mine");
    },
    { flush: "sync" },
  );
  db.todos.where().subscribe((rows) => seen.push(rows.length), { flush: "sync" });
  await db.todos.insert({ title: "a" });
  assert.deepEqual(seen, [0, 1]);
  await settled();
  assert.deepEqual([...new Set(thrown)], ["mine"]);
});

test("a live row tells of changes, of its end, and of nothing else", async () => {
  const { db, factory } = open();
  await db.todos.insert({ title: "a", id: "a" });
  const seen = [];
  db.todos.live("a").subscribe((row) => seen.push(row?.title), { flush: "sync" });
  await db.todos.insert({ title: "b", id: "b" });
  await db.todos.update("a", { title: "c" });
  await db.todos.delete("a");
  assert.deepEqual(seen, ["a", "c", undefined]);
  assert.equal(factory.client.lastRequest.ops[0].op, "delete");
});

test("getMany keeps the order and the gaps", async () => {
  const { db } = open();
  await db.todos.insertMany([
    { title: "a", id: "a" },
    { title: "b", id: "b" },
  ]);
  assert.deepEqual(
    (await db.todos.getMany(["b", "x", "a"])).map((row) => row?.title),
    ["b", undefined, "a"],
  );
});

test("count, pages, offset and several orders", async () => {
  const { db, factory } = open();
  await db.todos.insertMany([3, 1, 2].map((votes) => ({ title: votes === 2 ? "b" : "a", votes })));
  const sorted = db.todos.where().orderBy("title", "desc").orderBy("votes");
  assert.deepEqual(
    (await sorted.get()).map((row) => row.votes),
    [2, 1, 3],
  );
  assert.deepEqual(factory.client.lastQuery.orderBy, [
    ["/title", "desc"],
    ["/votes", "asc"],
  ]);
  assert.deepEqual(
    (await sorted.offset(1).limit(1).get()).map((row) => row.votes),
    [1],
  );
  assert.equal(await sorted.limit(1).count().get(), 3);
  const first = await sorted.page({ size: 2 }).get();
  assert.deepEqual([first.rows.length, first.total], [2, 3]);
  const second = await sorted.page({ size: 2, after: first.next }).get();
  assert.deepEqual([second.rows.map((row) => row.votes), "next" in second], [[3], false]);
  const counts = [];
  db.todos
    .where({ done: false })
    .count()
    .subscribe((count) => counts.push(count), { flush: "sync" });
  await db.todos.where({ votes: 1 }).update({ done: true });
  assert.deepEqual(counts, [3, 2]);
});

test("a store that cannot be opened tells every reader why, and is tried again if that can help", async () => {
  let broken = true;
  const openError = () =>
    broken ? Object.assign(new Error("no disk"), { code: "storage", retryable: true, hint: "no disk" }) : undefined;
  const { db, factory } = open({ openError });
  const errors = [];
  db.todos.where().subscribe(() => undefined, { flush: "sync", onError: (error) => errors.push(error.code) });
  assert.equal((await refused(db.todos.get("a"))).code, "storage");
  assert.deepEqual(errors, ["storage"]);
  broken = false;
  await db.todos.insert({ title: "a" });
  assert.equal(factory.clients.length, 2);
});

test("get and whenOpen obey a signal", async () => {
  const { db } = open({ openGate: new Promise(() => undefined) });
  const control = new AbortController();
  const waiting = db.todos.where().get({ signal: control.signal });
  control.abort();
  assert.equal((await refused(waiting)).code, "aborted");
});

test("live values that nobody watches are bounded in number", async () => {
  const { db, factory } = open();
  await db.todos.insert({ title: "a" });
  const kept = db.todos.where({ votes: 0 });
  const rows = kept.peek();
  const stop = kept.subscribe(() => undefined);
  for (let n = 1; n < 500; n += 1) db.todos.where({ votes: n }).peek();
  const calls = factory.client.calls.query;
  assert.equal(kept.peek(), rows);
  assert.equal(factory.client.calls.query, calls, "a watched one stays");
  db.todos.where({ votes: 1 }).peek();
  assert.equal(factory.client.calls.query, calls + 1, "an old one that nobody watches is gone");
  stop();
});
