/** A plain REST API with ETags behind the engine: the example of the README, over real HTTP. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { restBackend } from "../examples/dist/backends/rest-etag.js";
import { inc } from "../dist/index.js";
import { device, rows, synced, until } from "./backend/open.mjs";
import { startRest } from "./backend/rest-server.mjs";

const open = [];
after(async () => {
  for (const each of open) await each.close();
});

async function world(options, settings) {
  const rest = await startRest(options);
  const make = (more) => {
    const db = device(restBackend(rest.url, { remembers: options?.remembers }), { settings, ...more });
    open.unshift(db);
    return db;
  };
  open.push(rest);
  return { rest, make };
}

test("what is written here is stored there, and what others write is shown", async () => {
  const { rest, make } = await world();
  const db = make();
  const { id } = db.todos.insert({ title: "milk", votes: 1 });
  await synced(db);
  assert.deepEqual(rest.get("todos", id).value, { title: "milk", votes: 1 });
  await db.todos.update(id, { title: "bread", votes: inc(2) });
  await synced(db);
  assert.deepEqual(rest.get("todos", id).value, { title: "bread", votes: 3 });
  rest.put("todos", "other", { title: "theirs" });
  await until("theirs is shown", async () => (await rows(db)).has("other"));
  await db.todos.delete(id);
  await synced(db);
  assert.deepEqual([...rest.all("todos").keys()], ["other"]);
  assert.deepEqual([...(await rows(db)).keys()], ["other"]);
  const status = await db.sync.status.get();
  assert.equal(status.delivery, "at-least-once");
});

test("two devices change one row at once: what differs stands, what clashes goes to who wrote later", async () => {
  const { rest, make } = await world();
  rest.put("todos", "1", { title: "old", done: false, votes: 1, by: "nobody" });
  const [a, b] = [make(), make()];
  await Promise.all([synced(a), synced(b)]);
  await Promise.all([a.sync.pause(), b.sync.pause()]);
  const losses = [];
  for (const db of [a, b]) db.on("conflict", (event) => losses.push(event.overwritten));
  await a.todos.update("1", { title: "a's", votes: inc(2) });
  await new Promise((resolve) => setTimeout(resolve, 5));
  await b.todos.update("1", { title: "b's", done: true, votes: inc(3) });
  await b.sync.resume();
  await synced(b);
  await a.sync.resume();
  await Promise.all([synced(a), synced(b)]);
  // A wrote earlier than the row was stored last, so its title loses, and its author is told.
  assert.deepEqual(rest.get("todos", "1").value, { title: "b's", done: true, votes: 6, by: "nobody" });
  assert.deepEqual(losses, [[{ path: "/title", yours: "a's", kept: "b's" }]]);
  await until("both agree", async () => {
    const [here, there] = await Promise.all([rows(a), rows(b)]);
    return JSON.stringify([...here]) === JSON.stringify([...there]) && here.get("1").votes === 6;
  });
});

test("the settings of the device decide: union, counter, client-wins and server-wins", async () => {
  const fields = { tags: "union", votes: "counter", mine: "client-wins", theirs: "server-wins" };
  const { rest, make } = await world({}, { fields });
  rest.put("todos", "1", { tags: ["a", "b"], votes: 3, mine: "old", theirs: "old" });
  const db = make();
  await synced(db);
  await db.sync.pause();
  await db.todos.update("1", { tags: ["a", "c"], votes: 4, mine: "here", theirs: "here" });
  rest.put("todos", "1", { tags: ["b", "d"], votes: 10, mine: "there", theirs: "there" });
  await db.sync.resume();
  await synced(db);
  assert.deepEqual(rest.get("todos", "1").value, { tags: ["d", "c"], votes: 11, mine: "here", theirs: "there" });
});

test("a lost answer changes nothing twice: what stands there is known again", async () => {
  const { rest, make } = await world();
  rest.put("todos", "1", { votes: 1 });
  const db = make();
  await synced(db);
  rest.faults.push("lost");
  const { id } = db.todos.insert({ title: "new" });
  await synced(db);
  rest.faults.push("lost");
  await db.todos.update("1", { votes: inc(1) });
  await synced(db);
  rest.faults.push("drop", "lost", "lost");
  await db.todos.update(id, { title: "newer" });
  await synced(db);
  rest.faults.push("lost");
  await db.todos.delete(id);
  await synced(db);
  assert.deepEqual(rest.get("todos", "1").value, { votes: 2 });
  assert.deepEqual(rest.writes.map(({ method, value }) => [method, value.title ?? value.votes]), [
    ["PUT", "new"],
    ["PUT", 2],
    ["PUT", "newer"],
    ["DELETE", undefined],
  ]);
  assert.deepEqual((await db.sync.queue.get()).failed, []);
});

test("an API that remembers keys is exactly-once, whatever others write meanwhile", async () => {
  const { rest, make } = await world({ remembers: true });
  rest.put("todos", "1", { votes: 1 });
  const db = make();
  assert.equal((await db.sync.status.get()).delivery, "exactly-once");
  await synced(db);
  rest.faults.push("lost", "lost");
  let others = 0;
  rest.before = async () => {
    // Right after our own edit, which we do not know of yet.
    if (rest.writes.length > others) rest.put("todos", "1", { ...rest.get("todos", "1").value, seen: (others += 1) });
  };
  await db.todos.update("1", { votes: inc(1) });
  await synced(db);
  assert.equal(rest.get("todos", "1").value.votes, 2);
  assert.equal(rest.writes.length, 1);
});

test("what the API refuses is a dead letter with its reason, and the rest goes on", async () => {
  const { rest, make } = await world();
  rest.check = ({ title }) => (title === "bad" ? { detail: "no such title", pointer: "/title" } : undefined);
  const db = make();
  const bad = db.todos.insert({ title: "bad" });
  const good = db.todos.insert({ title: "good" });
  const verdict = await bad.server();
  assert.deepEqual(verdict, { verdict: "rejected", code: "invalid", message: "no such title", path: "/title" });
  await synced(db);
  assert.deepEqual([...rest.all("todos").keys()], [good.id]);
  const [letter] = (await db.sync.queue.get()).failed;
  assert.equal(letter.error.message, "no such title");
});

test("a delete meets an update: the setting decides, and nothing is lost in silence", async () => {
  for (const onDeleteConflict of ["delete-wins", "update-wins"]) {
    const { rest, make } = await world({}, { onDeleteConflict });
    for (const id of ["1", "2"]) rest.put("todos", id, { title: "old", text: "t" });
    const db = make();
    await synced(db);
    await db.sync.pause();
    const losses = [];
    db.on("conflict", ({ overwritten }) => losses.push(...overwritten));
    await db.todos.delete("1");
    const update = db.todos.update("2", { title: "mine" });
    rest.put("todos", "1", { title: "theirs", text: "t" });
    rest.put("todos", "2", { title: "old", text: "t" }, true);
    await db.sync.resume();
    await until("decided", async () => (await db.sync.queue.get()).pending.length === 0);
    if (onDeleteConflict === "delete-wins") {
      assert.deepEqual([...rest.all("todos").keys()], []);
      assert.equal((await update.server()).code, "deleted");
    } else {
      assert.deepEqual(Object.fromEntries(rest.all("todos")), {
        1: { title: "theirs", text: "t" },
        2: { title: "mine", text: "t" },
      });
      assert.deepEqual(losses, [{ path: "/title", kept: "theirs" }]);
    }
    await until("shown", async () => (await rows(db)).size === rest.all("todos").size);
  }
});

test("failures of the API are waited out: 503, 429 with Retry-After, 401, and a line that breaks", async () => {
  const { rest, make } = await world();
  rest.token = "good";
  const asked = [];
  const tokens = { start: "old", rejected: "good" };
  const db = make({ auth: (why) => (asked.push(why), tokens[why]) });
  const write = db.todos.insert({ title: "1" });
  await synced(db);
  assert.deepEqual(asked.slice(0, 2), ["start", "rejected"]);
  rest.faults.push({ status: 503 }, { status: 429, retryAfter: 1 }, "drop");
  const before = performance.now();
  await db.todos.update(write.id, { title: "2" });
  await synced(db);
  assert.ok(performance.now() - before >= 1_000, "Retry-After was kept");
  assert.deepEqual([...rest.all("todos").values()], [{ title: "2" }]);
  rest.readFaults.push("drop", { status: 500 });
  rest.put("todos", "theirs", { title: "3" });
  await until("read", async () => (await rows(db)).has("theirs"));
});

test("an API without tombstones: what is missing in a complete list was deleted", async () => {
  const { rest, make } = await world({ complete: true });
  for (const id of ["1", "2", "3"]) rest.put("todos", id, { title: id });
  const db = make();
  await synced(db);
  await db.todos.insert({ title: "mine" });
  rest.put("todos", "2", {}, true);
  await until("gone", async () => !(await rows(db)).has("2"));
  assert.equal((await rows(db)).size, 3);
});
