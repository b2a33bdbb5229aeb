/** The test kit's switches: each does what it says, and the SDK comes to the same end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { collection } from "../dist/index.js";
import { createTestServer } from "../dist/testing/index.js";
import { serverFor, titles } from "./kit.mjs";

const todo = z.object({ title: z.string().min(1), of: z.string().optional() });
const collections = { todos: collection(todo, {}) };
const options = { name: "app", collections };

const shown = async (db) => titles(await db.todos.where({}).get());

/** A device that is in step. */
async function inStep(t, more) {
  const server = await serverFor(t, { collections, ...more });
  const phone = server.device("phone", { user: "ada" });
  const db = phone.open(options);
  await db.todos.where({}).get();
  await server.settled();
  return { server, phone, db };
}

test("what is due happens by itself: a verdict comes without a word to the clock", async (t) => {
  const { server, db } = await inStep(t);
  const began = server.clock.now;
  assert.equal((await db.todos.insert({ title: "Milk" }).server()).verdict, "applied");
  assert.ok(server.clock.now - began < 100, `${server.clock.now - began}`);
});

test("a request that is never answered is given up after its time", async (t) => {
  const { server, phone, db } = await inStep(t);
  phone.cutChannel();
  // Nor does anything else tell of it.
  phone.loseFrames(10);
  phone.hangNext("push");
  phone.hangNext("pull");
  const began = server.clock.now;
  const write = db.todos.insert({ title: "Milk" });
  await assert.rejects(server.clock.until(write.server({ timeoutMs: 5_000 })), { code: "timeout" });
  await server.settled();
  assert.ok(server.clock.now - began >= 10_000, `${server.clock.now - began}`);
  assert.deepEqual(titles(server.rows("todos")), ["Milk"]);
});

test("what a frame tells of needs no answer", async (t) => {
  const { server, phone, db } = await inStep(t);
  phone.hangNext("push");
  const began = server.clock.now;
  const { verdict } = await server.clock.until(db.todos.insert({ title: "Milk" }).server({ timeoutMs: 5_000 }));
  assert.equal(verdict, "applied");
  assert.ok(server.clock.now - began < 1_000, `${server.clock.now - began}`);
  assert.deepEqual(titles(server.rows("todos")), ["Milk"]);
});

test("tokens that expire are asked for again, of whoever is signed in", async (t) => {
  const { server, phone, db } = await inStep(t);
  phone.expireTokens();
  await db.todos.insert({ title: "of ada" });
  await server.settled();
  assert.equal(server.requests.at(-1).status, 200);
  await server.clock.until(db.signIn("bo"));
  await db.todos.insert({ title: "of bo" });
  await server.settled();
  assert.deepEqual(titles(server.rows("todos")), ["of ada", "of bo"]);
  phone.user = null;
  await server.clock.until(db.signOut());
  server.expireTokens();
  await server.clock.advance(60_000);
  assert.equal(db.sync.status.peek().state, "paused");
});

test("a server that goes back to a snapshot gets what it lost again", async (t) => {
  const { server, db } = await inStep(t);
  await db.todos.insert({ title: "before" });
  await server.settled();
  const snapshot = server.snapshot();
  await db.todos.insert({ title: "after" });
  await server.settled();
  server.restore(snapshot);
  assert.deepEqual(titles(server.rows("todos")), ["before"]);
  await server.settled();
  assert.deepEqual(titles(server.rows("todos")), ["after", "before"]);
  assert.deepEqual(await shown(db), ["after", "before"]);
});

test("frames that come twice or never change nothing in the end", async (t) => {
  const { server, phone, db } = await inStep(t);
  const laptop = server.device("laptop", { user: "bo" }).open(options);
  await laptop.todos.where({}).get();
  await server.settled();
  phone.duplicateFrames(2);
  for (const title of ["one", "two"]) {
    await laptop.todos.insert({ title });
    await server.settled();
  }
  phone.loseFrames();
  await laptop.todos.insert({ title: "three" });
  await server.clock.advance(1_000);
  assert.deepEqual(await shown(db), ["one", "two"]);
  await server.settled();
  assert.deepEqual(await shown(db), ["one", "three", "two"]);
});

test("what travels takes its time, each way", async (t) => {
  const { server, phone, db } = await inStep(t);
  phone.delay(400);
  await db.todos.insert({ title: "Milk" });
  await server.clock.advance(300);
  assert.deepEqual(server.rows("todos"), []);
  await server.clock.advance(200);
  assert.equal(server.rows("todos").length, 1);
  assert.equal(db.sync.status.peek().pending, 1);
  await server.clock.advance(400);
  assert.equal(db.sync.status.peek().pending, 0);
});

test("who may not see an entity is not sent it, and loses it when that changes", async (t) => {
  const readers = ({ doc }) => (doc.of === undefined ? undefined : [doc.of]);
  const { server, db } = await inStep(t, { readers });
  const bo = server.device("laptop", { user: "bo" }).open(options);
  await bo.todos.where({}).get();
  const { id } = db.todos.insert({ title: "for all" });
  await db.todos.insert({ title: "ada's", of: "ada" });
  await server.settled();
  assert.deepEqual([await shown(db), await shown(bo)], [["ada's", "for all"], ["for all"]]);
  await db.todos.update(id, { of: "ada" });
  await server.settled();
  assert.deepEqual(await shown(bo), []);
  server.setRules({});
  await server.settled();
  assert.deepEqual(await shown(db), ["ada's", "for all"]);
});

test("sync() says why it cannot be, and a full disk keeps what was written in the queue", async (t) => {
  const { server, phone, db } = await inStep(t);
  phone.offline();
  await assert.rejects(phone.sync(), { code: "offline" });
  phone.online();
  await phone.sync();
  phone.setFull(true);
  await assert.rejects(async () => db.todos.insert({ title: "no room" }), { code: "quota" });
  const [entry] = await db.sync.queue.failed.get();
  phone.setFull(false);
  await db.sync.queue.retry(entry.n);
  await server.settled();
  assert.deepEqual(titles(server.rows("todos")), ["no room"]);
});

test("a server that is down takes nothing from anybody until it is back", async (t) => {
  const { server, db } = await inStep(t);
  server.offline();
  await db.todos.insert({ title: "Milk" });
  await server.settled();
  assert.equal(db.sync.status.peek().state, "offline");
  server.online();
  await server.settled();
  assert.deepEqual([server.rows("todos").length, db.sync.status.peek().state], [1, "synced"]);
});

test("a server that lost everything is sent what devices acknowledged, and one runs at a time", async (t) => {
  const { server, db } = await inStep(t);
  await db.todos.insert({ title: "Milk" });
  await server.settled();
  server.reset();
  await server.settled();
  assert.deepEqual(titles(server.rows("todos")), ["Milk"]);
  await assert.rejects(createTestServer({ collections }), { code: "bad-config" });
});

test("single rows are fetched, and what is not to be had says so", async (t) => {
  const part = { todos: collection(todo, { replicate: "none" }) };
  const server = await serverFor(t, { collections });
  const all = server.device("laptop").open(options);
  const { id } = all.todos.insert({ title: "far" });
  await server.settled();
  const few = server.device("phone").open({ name: "app", collections: part });
  assert.equal((await server.clock.until(few.todos.fetch(id))).title, "far");
  assert.equal(await server.clock.until(few.todos.fetch("none")), undefined);
});
