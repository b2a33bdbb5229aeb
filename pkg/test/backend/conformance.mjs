/**
 * What every backend has to come to, whatever its server speaks: the same tests over each example.
 *
 * `start` starts its server (`fake-server.mjs`), `connect` makes the backend of one.
 */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { inc } from "../../dist/index.js";
import { device, rows, synced, until } from "./open.mjs";

/** What is open and closed after the tests of a file. */
export function closing() {
  const open = [];
  after(async () => {
    for (const each of open) await each.close();
  });
  return (each) => (open.unshift(each), each);
}

/** Registers the tests. */
export function conforms(name, { start, connect, delivery }) {
  const owns = closing();

  const world = async (settings) => {
    const server = owns(await start());
    return { server, make: (more) => owns(device(connect(server), { settings, ...more })) };
  };
  decides(name, world, delivery);
  deletes(name, world);
  survives(name, world);
}

/** Writes, conflicts and the settings that settle them. */
function decides(name, world, delivery) {
  test(`${name}: what is written here is stored there, and what others write is shown`, async () => {
    const { server, make } = await world();
    const db = make();
    const { id } = db.todos.insert({ title: "milk", votes: 1 });
    await synced(db);
    assert.deepEqual(server.get("todos", id).value, { title: "milk", votes: 1 });
    await db.todos.update(id, { title: "bread", votes: inc(2) });
    await synced(db);
    assert.deepEqual(server.get("todos", id).value, { title: "bread", votes: 3 });
    server.put("todos", "other", { title: "theirs" });
    await until("theirs is shown", async () => (await rows(db)).has("other"));
    await db.todos.delete(id);
    await synced(db);
    assert.deepEqual([...server.all("todos").keys()], ["other"]);
    assert.deepEqual([...(await rows(db)).keys()], ["other"]);
    const status = await db.sync.status.get();
    assert.equal(status.delivery, delivery);
  });

  test(`${name}: two devices change one row at once, and what clashes goes to who wrote later`, async () => {
    const { server, make } = await world();
    server.put("todos", "1", { title: "old", done: false, votes: 1, by: "nobody" });
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
    assert.deepEqual(server.get("todos", "1").value, { title: "b's", done: true, votes: 6, by: "nobody" });
    assert.deepEqual(losses, [[{ path: "/title", yours: "a's", kept: "b's" }]]);
    await until("both agree", async () => {
      const [here, there] = await Promise.all([rows(a), rows(b)]);
      return JSON.stringify([...here]) === JSON.stringify([...there]) && here.get("1").votes === 6;
    });
  });

  test(`${name}: the settings of the device decide: union, counter, client-wins and server-wins`, async () => {
    const fields = { tags: "union", votes: "counter", mine: "client-wins", theirs: "server-wins" };
    const { server, make } = await world({ fields });
    server.put("todos", "1", { tags: ["a", "b"], votes: 3, mine: "old", theirs: "old" });
    const db = make();
    await synced(db);
    await db.sync.pause();
    await db.todos.update("1", { tags: ["a", "c"], votes: 4, mine: "here", theirs: "here" });
    server.put("todos", "1", { tags: ["b", "d"], votes: 10, mine: "there", theirs: "there" });
    await db.sync.resume();
    await synced(db);
    assert.deepEqual(server.get("todos", "1").value, { tags: ["d", "c"], votes: 11, mine: "here", theirs: "there" });
  });
}

/** Deletes against updates. */
function deletes(name, world) {
  test(`${name}: a delete meets an update: the setting decides, and nothing is lost in silence`, async () => {
    for (const onDeleteConflict of ["delete-wins", "update-wins"]) {
      const { server, make } = await world({ onDeleteConflict });
      for (const id of ["1", "2"]) server.put("todos", id, { title: "old", text: "t" });
      const db = make();
      await synced(db);
      await db.sync.pause();
      const losses = [];
      db.on("conflict", ({ overwritten }) => losses.push(...overwritten));
      await db.todos.delete("1");
      const update = db.todos.update("2", { title: "mine" });
      server.put("todos", "1", { title: "theirs", text: "t" });
      server.put("todos", "2", { title: "old", text: "t" }, true);
      await db.sync.resume();
      await until("decided", async () => (await db.sync.queue.get()).pending.length === 0);
      if (onDeleteConflict === "delete-wins") {
        assert.deepEqual([...server.all("todos").keys()], []);
        assert.equal((await update.server()).code, "deleted");
      } else {
        assert.deepEqual(Object.fromEntries(server.all("todos")), {
          1: { title: "theirs", text: "t" },
          2: { title: "mine", text: "t" },
        });
        assert.deepEqual(losses, [{ path: "/title", kept: "theirs" }]);
      }
      await until("shown", async () => (await rows(db)).size === server.all("todos").size);
    }
  });
}

/** Failures on the way, and refusals. */
function survives(name, world) {
  test(`${name}: a lost answer changes nothing twice: what stands there is known again`, async () => {
    const { server, make } = await world();
    server.put("todos", "1", { votes: 1 });
    const db = make();
    await synced(db);
    server.faults.push("lost");
    const { id } = db.todos.insert({ title: "new" });
    await synced(db);
    server.faults.push("lost");
    await db.todos.update("1", { votes: inc(1) });
    await synced(db);
    server.faults.push("drop", "lost", "lost");
    await db.todos.update(id, { title: "newer" });
    await synced(db);
    server.faults.push("lost");
    await db.todos.delete(id);
    await synced(db);
    assert.deepEqual(server.get("todos", "1").value, { votes: 2 });
    assert.deepEqual(server.writes.map(({ value }) => value.title ?? value.votes).slice(0, 3), ["new", 2, "newer"]);
    assert.deepEqual([server.writes.length, server.all("todos").size], [4, 1]);
    assert.deepEqual((await db.sync.queue.get()).failed, []);
  });

  test(`${name}: what the API refuses is a dead letter with its reason, and the rest goes on`, async () => {
    const { server, make } = await world();
    server.check = ({ title }) => (title === "bad" ? { detail: "no such title", pointer: "/title" } : undefined);
    const db = make();
    const bad = db.todos.insert({ title: "bad" });
    const good = db.todos.insert({ title: "good" });
    const verdict = await bad.server();
    assert.deepEqual([verdict.verdict, verdict.code, verdict.message], ["rejected", "invalid", "no such title"]);
    await synced(db);
    assert.deepEqual([...server.all("todos").keys()], [good.id]);
    const [letter] = (await db.sync.queue.get()).failed;
    assert.equal(letter.error.message, "no such title");
  });

  test(`${name}: failures are waited out: 503, 429 with Retry-After, 401, and a line that breaks`, async () => {
    const { server, make } = await world();
    server.token = "good";
    const asked = [];
    const tokens = { start: "old", rejected: "good" };
    const db = make({ auth: (why) => (asked.push(why), tokens[why]) });
    const write = db.todos.insert({ title: "1" });
    await synced(db);
    assert.deepEqual(asked.slice(0, 2), ["start", "rejected"]);
    server.faults.push({ status: 503 }, { status: 429, retryAfter: 1 }, "drop");
    const before = performance.now();
    await db.todos.update(write.id, { title: "2" });
    await synced(db);
    assert.ok(performance.now() - before >= 1_000, "Retry-After was kept");
    assert.deepEqual([...server.all("todos").values()], [{ title: "2" }]);
    server.readFaults.push("drop", { status: 500 });
    server.put("todos", "theirs", { title: "3" });
    await until("read", async () => (await rows(db)).has("theirs"));
  });
}
