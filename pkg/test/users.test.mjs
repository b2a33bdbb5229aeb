/** Users: one store each, and nothing of one in another's. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { settled } from "./fake.mjs";
import { open, refused } from "./open.mjs";

const titles = async (db) => (await db.todos.where({}).get()).map((row) => row.title);

test("each user has a store of their own, and nobody's comes back after signing out", async () => {
  const { db, factory } = open({ stores: {} });
  await db.todos.insert({ title: "before" });
  await db.signIn("ann@example.com", { adopt: "ask" });
  assert.deepEqual(await titles(db), []);
  await db.todos.insert({ title: "ann's" });
  await db.signIn("bob", { adopt: "ask" });
  assert.deepEqual(await titles(db), []);
  await db.signIn("ann@example.com", { adopt: "ask" });
  assert.deepEqual(await titles(db), ["ann's"]);
  await db.signOut();
  assert.deepEqual(await titles(db), ["before"]);
  const [base] = factory.configs.map((config) => config.name);
  const users = factory.configs.map((config) => config.name.slice(base.length)).filter(Boolean);
  assert.deepEqual(users, ["@ann%40example.com", "@bob", "@ann%40example.com"]);
  assert.equal(factory.clients.filter((client) => !client.closed).length, 1);
});

test("signing in first opens no other store, and signing in twice opens one", async () => {
  const { db, factory } = open({ stores: {} });
  await Promise.all([db.signIn("ann"), db.signIn("ann")]);
  await db.signIn("ann");
  assert.equal(factory.configs.length, 1);
});

test("a write on its way is durable in the store that it was made in", async () => {
  const stores = {};
  const { db, factory } = open({ stores, autoDurable: false });
  await db.signIn("ann");
  const write = db.todos.insert({ title: "ann's" });
  const signedIn = db.signIn("bob");
  await settled();
  assert.equal(factory.configs.length, 1, "the store is kept until the write is in it");
  factory.client.settle(1);
  await write;
  await signedIn;
  assert.deepEqual(await titles(db), []);
  const ann = Object.keys(stores).find((name) => name.endsWith("@ann"));
  assert.deepEqual([...stores[ann].rows.values()].map((row) => row.title), ["ann's"]);
});

test("live values show nothing of the store before, even while the next one opens", async () => {
  const fake = { stores: {} };
  const { db, factory } = open(fake);
  await db.signIn("ann");
  await db.todos.insert({ title: "ann's" });
  const seen = [];
  const rows = db.todos.where({});
  rows.subscribe((list) => seen.push(list.map((row) => row.title)), { flush: "sync" });
  assert.deepEqual(rows.peek()?.length, 1);
  let let_ = () => undefined;
  factory.openGate = new Promise((resolve) => (let_ = resolve));
  const signedIn = db.signIn("bob");
  await settled();
  assert.equal(rows.peek(), undefined);
  let_();
  await signedIn;
  assert.deepEqual(seen, [["ann's"], []]);
});

test("the token is asked for the user whose store it is", async () => {
  const asked = [];
  const auth = (why, user) => (asked.push([why, user]), "token");
  const { db, factory } = open({ stores: {} }, { url: "http://localhost", auth });
  await db.sync.status.get();
  await factory.client.host.token("start");
  await db.signIn("ann");
  await factory.client.host.token("rejected");
  assert.deepEqual(asked, [
    ["start", null],
    ["rejected", "ann"],
  ]);
});

test("a verdict that is asked for after another user signed in is refused with a code", async () => {
  const { db } = open({ stores: {} }, { url: "http://localhost" });
  await db.signIn("ann");
  const write = db.todos.insert({ title: "ann's" });
  const verdict = refused(write.server());
  await write;
  await db.signIn("bob");
  assert.equal((await verdict).code, "closed");
});

test("signing out wipes the store only when it is said what becomes of the queue", async () => {
  const stores = {};
  const { db } = open({ stores });
  await db.signIn("ann");
  await db.todos.insert({ title: "ann's" });
  assert.equal((await refused(db.signOut({ wipe: true }))).code, "bad-value");
  await db.signOut({ wipe: true, pending: "discard" });
  await db.signIn("ann");
  assert.deepEqual(await titles(db), []);
});

test("signing out with pending edits to send waits for them, and without a connection it stays", async () => {
  const { db } = open({ stores: {}, status: { state: "offline", since: 1, pending: 1 } }, { url: "http://localhost" });
  await db.signIn("ann");
  await db.todos.insert({ title: "ann's" });
  assert.equal((await refused(db.signOut({ pending: "send" }))).code, "offline");
  assert.deepEqual(await titles(db), ["ann's"]);
});

test("an empty user and a closed database are refused", async () => {
  const { db } = open({ stores: {} });
  assert.equal((await refused(db.signIn(""))).code, "bad-value");
  await db.close();
  assert.equal((await refused(db.signIn("ann"))).code, "closed");
});
