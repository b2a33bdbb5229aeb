import assert from "node:assert/strict";
import { test } from "node:test";
import { inc } from "../dist/index.js";
import { settled } from "./fake.mjs";
import { open, refused } from "./open.mjs";

/** A database that holds one row, and reports nothing by itself from here on. */
async function withOne(row) {
  const { db, factory } = open({ autoDurable: false });
  const insert = db.todos.insert(row);
  await settled();
  factory.client.settle(1);
  await insert;
  return { db, factory };
}

test("after a trap a fresh instance gets every write that was not stored, once", async () => {
  const { db, factory } = open({ autoDurable: false });
  const first = db.todos.insert({ title: "stored", id: "a", votes: 1 });
  await settled();
  factory.client.settle(1);
  await first;
  const events = [];
  db.on("watchdog", (event) => events.push(event.code));
  const lost = db.todos.insert({ title: "not stored", id: "b" });
  const second = db.todos.update("a", { votes: inc(5) });
  factory.client.trapNext = "write";
  const trapped = db.todos.update("a", { title: "trapped" });
  await settled();
  assert.equal(factory.clients.length, 2);
  for (const { number } of [...factory.client.pending]) factory.client.settle(number);
  await Promise.all([lost, second, trapped]);
  const row = await db.todos.get("a");
  assert.deepEqual([row.votes, row.title, db.todos.peek("b").title], [6, "trapped", "not stored"]);
  assert.deepEqual(events, ["internal"]);
});

test("a write that was stored but not reported is not given again", async () => {
  const { db, factory } = await withOne({ title: "a", id: "a" });
  const earlier = db.todos.update("a", { votes: inc(1) });
  factory.client.settle(2);
  await earlier;
  const stored = db.todos.update("a", { votes: inc(1) });
  const added = db.todos.insert({ title: "b", id: "b" });
  const open1 = db.todos.update("a", { votes: inc(1) });
  factory.client.settle(3, { report: false });
  factory.client.settle(4, { report: false });
  factory.store.rows.get("todos/a").votes = 2; // the log holds two of the three increments
  factory.trapped(0);
  await settled();
  await Promise.all([stored, added]);
  assert.equal(factory.client.calls.write, 1); // the open increment
  for (const { number } of [...factory.client.pending]) factory.client.settle(number);
  await open1;
  assert.equal((await db.todos.get("a")).votes, 3);
});

test("a write that traps every time is refused, and the rest goes on", async () => {
  const { db, factory } = open();
  await db.todos.insert({ title: "a", id: "a" });
  const create = factory.create;
  factory.create = async (...args) => {
    const made = await create(...args);
    const write = made.client.write.bind(made.client);
    made.client.write = (text, lines) => {
      if (text.includes("poison")) throw new WebAssembly.RuntimeError("unreachable");
      return write(text, lines);
    };
    return made;
  };
  factory.client.trapNext = "write";
  const poison = db.todos.update("a", { title: "poison" });
  assert.equal((await refused(poison)).code, "internal");
  await db.todos.update("a", { title: "fine" });
  assert.equal(db.todos.peek("a").title, "fine");
});

test("reads during a restart show the last known value, and subscribers stay", async () => {
  const { db, factory } = open();
  await db.todos.insert({ title: "a", id: "a" });
  const rows = db.todos.where();
  const seen = [];
  rows.subscribe((list) => seen.push(list.map((row) => row.title).join()), { flush: "sync" });
  const before = rows.peek();
  factory.client.emit([{ type: "watchdog", code: "internal", message: "panic" }]);
  assert.equal(rows.peek(), before);
  await settled();
  assert.equal(factory.clients.length, 2);
  assert.equal(rows.peek(), before);
  await db.todos.update("a", { title: "b" });
  assert.deepEqual(seen, ["a", "b"]);
});

test("events of a lost instance are not heard", async () => {
  const { db, factory } = open();
  await db.todos.insert({ title: "a", id: "a" });
  const old = factory.client;
  factory.trapped(0);
  await settled();
  let heard = 0;
  db.on("quota", () => (heard += 1));
  old.emit([{ type: "quota" }]);
  factory.client.emit([{ type: "quota" }]);
  assert.equal(heard, 1);
});

test("an instance that fails again and again is given up, with an error that says so", async () => {
  const { db, factory } = open();
  await db.todos.where().get();
  for (let generation = 0; generation < 6; generation += 1) {
    factory.trapped(generation);
    await settled();
  }
  const error = await refused(db.todos.get("a"));
  assert.deepEqual([error.code, error.retryable], ["internal", false]);
});

test("an equal increment of an earlier session is not taken for one that was lost", async () => {
  const row = { id: "a", title: "a", votes: 1, $sync: { status: "pending" }, $rev: 0, $updatedAt: 1 };
  const queue = [
    { n: [7, 0], collection: "todos", id: "a", kind: "patch", status: "queued", at: 1, inc: { "/votes": 1 } },
  ];
  const { db, factory } = open({ autoDurable: false, store: { rows: new Map([["todos/a", row]]), queue, key: 7 } });
  await db.todos.where().get();
  const write = db.todos.update("a", { votes: inc(1) });
  factory.trapped(0);
  await settled();
  for (const { number } of [...factory.client.pending]) factory.client.settle(number);
  await write;
  assert.equal((await db.todos.get("a")).votes, 2);
});

test("after a restart rows are what the log says, not what was cached", async () => {
  const { db, factory } = open();
  await db.todos.insert({ title: "a", id: "a" });
  const held = db.todos.peek("a");
  factory.store.rows.get("todos/a").title = "by another tab meanwhile";
  factory.trapped(0);
  await settled();
  assert.notEqual(db.todos.peek("a"), held);
  assert.equal(db.todos.peek("a").title, "by another tab meanwhile");
});

/** What another tab wrote while this one had no instance: in the log and in the rows. */
function byAnotherTab(store, edit, row) {
  store.queue.push({ n: [(store.key += 1), 0], status: "queued", at: Date.now(), attempts: 0, ...edit });
  Object.assign(store.rows.get(`${edit.collection}/${edit.id}`), row);
}

test("an equal increment that another tab makes meanwhile is not taken for one that was lost", async () => {
  const { db, factory } = await withOne({ title: "a", id: "a", votes: 1 });
  const write = db.todos.update("a", { votes: inc(1) });
  await settled();
  byAnotherTab(factory.store, { collection: "todos", id: "a", kind: "patch", inc: { "/votes": 1 } }, { votes: 2 });
  factory.trapped(0);
  await settled();
  for (const { number } of [...factory.client.pending]) factory.client.settle(number);
  await write;
  assert.equal((await db.todos.get("a")).votes, 3);
});

test("an edit that was stored is not made again over what another tab wrote since", async () => {
  const { db, factory } = await withOne({ title: "a", id: "a" });
  const write = db.todos.update("a", { title: "ours" });
  factory.client.settle(2, { report: false });
  await settled();
  const theirs = { collection: "todos", id: "a", kind: "patch", set: { "/title": "theirs" } };
  byAnotherTab(factory.store, theirs, { title: "theirs" });
  factory.trapped(0);
  await settled();
  for (const { number } of [...factory.client.pending]) factory.client.settle(number);
  await write;
  assert.equal((await db.todos.get("a")).title, "theirs");
});

test("what stands in the log before a write that was stored was stored too, whatever became of it there", async () => {
  const { db, factory } = await withOne({ title: "a", id: "a", votes: 1 });
  const first = db.todos.update("a", { votes: inc(1) });
  const second = db.todos.update("a", { title: "b" });
  factory.client.settle(2, { report: false });
  factory.client.settle(3, { report: false });
  factory.store.queue.splice(1, 1); // the first is on the server already: it left the queue
  factory.trapped(0);
  await settled();
  for (const { number } of [...factory.client.pending]) factory.client.settle(number);
  await Promise.all([first, second]);
  const { votes, title } = await db.todos.get("a");
  assert.deepEqual([votes, title], [2, "b"]);
});

test("a write that was stored and has left the queue unreported is not made again", async () => {
  const { db, factory } = await withOne({ title: "a", id: "a", votes: 1 });
  const write = db.todos.update("a", { votes: inc(1) });
  factory.client.settle(2, { report: false });
  factory.store.queue.length = 0; // another tab has pushed everything, and the server has answered
  factory.trapped(0);
  await settled();
  for (const { number } of [...factory.client.pending]) factory.client.settle(number);
  await write;
  assert.equal((await db.todos.get("a")).votes, 2);
});
