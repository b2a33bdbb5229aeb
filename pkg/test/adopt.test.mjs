/** What was written before anybody signed in, as the face moves it. What the core does of it: `rules/users.rs`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { open, refused } from "./open.mjs";

const titles = async (db) => (await db.todos.where({}).get()).map((row) => row.title).sort();

/** A database with two rows of nobody. */
async function written(fake = {}, config = {}) {
  const opened = open({ stores: {}, ...fake }, config);
  await opened.db.todos.insert({ title: "one" });
  await opened.db.todos.insert({ title: "two" });
  return opened;
}

test("what was written before becomes the user's, and is nobody's any more", async () => {
  const { db, factory } = await written({}, { url: "http://localhost" });
  const { pending } = await db.signIn("ann");
  assert.equal(pending, 0);
  assert.deepEqual(await titles(db), ["one", "two"]);
  assert.equal(factory.configs.at(-1).url, null, "nobody's store talks to no server meanwhile");
  await db.signOut();
  assert.deepEqual(await titles(db), []);
  await db.signIn("bob");
  assert.deepEqual(await titles(db), []);
  assert.equal(factory.clients.filter((client) => !client.closed).length, 1);
});

test("asked, it waits and is counted, until the app decides", async () => {
  for (const [choice, left] of [
    ["merge", ["one", "two"]],
    ["discard", []],
  ]) {
    const { db } = await written();
    assert.deepEqual(await db.signIn("ann", { adopt: "ask" }), { pending: 2 });
    assert.deepEqual(await titles(db), []);
    assert.deepEqual(await db.signIn("ann", { adopt: choice }), { pending: 0 });
    assert.deepEqual(await titles(db), left);
    await db.signOut();
    assert.deepEqual(await titles(db), []);
  }
});

test("a step that fails leaves the user signed in, says so, and is made up for by the next signIn", async () => {
  for (const failing of ["claim", "adopt", "adopted"]) {
    const error = { code: "quota", message: "full", retryable: true };
    let broken = true;
    const adoptionError = (step) => (broken && step === failing ? error : undefined);
    const { db, factory } = await written({ adoptionError });
    const events = [];
    db.on("watchdog", (event) => events.push(event.code));
    await db.signIn("ann");
    assert.deepEqual(events, ["quota"]);
    broken = false;
    await db.signIn("ann", { adopt: failing === "claim" ? "merge" : "ask" });
    assert.deepEqual(await titles(db), ["one", "two"], failing);
    await db.signOut();
    assert.deepEqual(await titles(db), [], failing);
    assert.equal(factory.clients.filter((client) => !client.closed).length, 1);
  }
});

test("a trap in nobody's store ends nothing, and the next signIn finishes", async () => {
  const { db, factory } = await written();
  const command = factory.client.constructor.prototype.command;
  let traps = 1;
  factory.client.constructor.prototype.command = function (text) {
    if (text.includes('"claimed"') && traps-- > 0) throw new WebAssembly.RuntimeError("unreachable");
    return command.call(this, text);
  };
  try {
    await db.signIn("ann");
    await db.signIn("ann");
    assert.deepEqual(await titles(db), ["one", "two"]);
  } finally {
    factory.client.constructor.prototype.command = command;
  }
});

test("another word than the three is refused, and nobody is signed in", async () => {
  const { db } = await written();
  assert.equal((await refused(db.signIn("ann", { adopt: "keep" }))).code, "bad-value");
  assert.deepEqual(await titles(db), ["one", "two"]);
});

test("signing out waits until everything has moved", async () => {
  const { db } = await written();
  const signedIn = db.signIn("ann");
  const signedOut = db.signOut();
  await Promise.all([signedIn, signedOut]);
  assert.deepEqual(await titles(db), []);
  await db.signIn("ann", { adopt: "ask" });
  assert.deepEqual(await titles(db), ["one", "two"]);
});
