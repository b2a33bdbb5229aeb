/** `collection.fetch(id)`: how long it waits, and what ends it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { settled } from "./fake.mjs";
import { open, refused } from "./open.mjs";

const URL = { url: "https://sync.example.com" };
const told = (id, more = { type: "fetched" }) => [{ collection: "todos", id, ...more }];

test("a fetch resolves with the row when it has come, and with nothing when there is none", async () => {
  const { db, factory } = open({}, URL);
  const [row, none] = [db.todos.fetch("t1"), db.todos.fetch("t2")];
  await settled();
  factory.client.remote("todos", "t1", { title: "from there" });
  factory.client.emit(told("t1"));
  factory.client.emit(told("t2"));
  assert.equal((await row).title, "from there");
  assert.equal(await none, undefined);
});

test("what the server refuses to give rejects with its reason", async () => {
  const { db, factory } = open({}, URL);
  const waiting = refused(db.todos.fetch("t1"));
  await settled();
  const error = { code: "forbidden", message: "not yours", retryable: false };
  factory.client.emit(told("t2", { type: "fetch-refused", error }));
  factory.client.emit(told("t1", { type: "fetch-refused", error }));
  const { code, id, collection } = await waiting;
  assert.deepEqual([code, collection, id], ["forbidden", "todos", "t1"]);
});

test("the time of a fetch begins when it is called, and its signal counts from then on, too", async () => {
  for (const part of ["openGate", "whole"]) {
    const { db, factory } = open({}, URL);
    const never = new Promise(() => undefined);
    if (part === "whole") factory.whole = () => never;
    else factory.openGate = never;
    const control = new AbortController();
    const aborted = refused(db.todos.fetch("t1", { signal: control.signal }));
    const late = refused(db.todos.fetch("t1", { timeoutMs: 5 }));
    await settled();
    control.abort();
    assert.equal((await aborted).code, "aborted", part);
    assert.equal((await late).code, "timeout", part);
  }
});

test("who waits for a row of one user hears it when another signs in", async () => {
  const { db, factory } = open({ stores: {} }, URL);
  await db.signIn("ann");
  const anns = refused(db.todos.fetch("t1"));
  await settled();
  await db.signIn("bob");
  assert.equal((await anns).code, "closed");
  const bobs = refused(db.todos.fetch("t1"));
  await settled();
  await db.signOut();
  assert.equal((await bobs).code, "closed");
  const nobodys = db.todos.fetch("t1");
  await settled();
  factory.client.emit(told("t1"));
  assert.equal(await nobodys, undefined);
});
