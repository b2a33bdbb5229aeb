/** Somebody else's server: the example of a plain REST API with ETags, in a browser, with two devices. */
import assert from "node:assert/strict";
import { after, before, describe } from "node:test";

import { startRest } from "../../pkg/test/backend/rest-server.mjs";
import { scenario, useStack } from "../lib/stack.mjs";
import { until } from "../lib/until.mjs";

/** Tests of `listen` must not succeed by polling. */
const SELDOM = { pollMs: { visible: 60_000, hidden: 60_000 } };

describe("a backend of the app's own", () => {
  const stack = useStack();
  const collections = { todos: { fields: { votes: "counter" } } };
  /** @type {Awaited<ReturnType<typeof startRest>>} */
  let rest;
  // Chromium itself sends a request again whose connection broke: only a server that remembers can tell.
  before(async () => void (rest = await startRest({ latencyMs: 10, remembers: true })));
  after(() => rest.close());

  scenario(stack, "two devices edit offline, one reloads, ETags conflict, answers are lost", async (world) => {
    for (const id of ["a", "b"]) rest.put("todos", id, { title: "old", votes: 1, done: false });
    const keys = { port: rest.port, remembers: true };
    const one = await world.device({ rest: keys, collections });
    const two = await world.device({ rest: keys, collections, name: "two" });
    await Promise.all([one.synced(), two.synced()]);
    one.offline();
    two.offline();
    const made = await one.run(async () => {
      const { db, inc } = window.tw;
      await db.todos.update("a", { title: "one", votes: inc(2) });
      await db.todos.delete("b");
      const write = db.todos.insert({ title: "made offline", votes: 0, done: false });
      await write;
      await db.todos.update(write.id, { done: true });
      return write.id;
    });
    await two.run(async () => {
      const { db, inc } = window.tw;
      await db.todos.update("a", { done: true, votes: inc(4), "place.city": "Ulm" });
      await db.todos.update("b", { title: "two" });
    });
    await one.reload();
    const writes = rest.writes.length;
    two.online();
    await two.synced();
    rest.faults.push("lost", "lost", "drop");
    one.online();
    await one.synced();
    await two.synced();
    const stands = new Map([
      ["a", { title: "one", votes: 7, done: true, place: { city: "Ulm" } }],
      [made, { title: "made offline", votes: 0, done: true }],
    ]);
    assert.deepEqual(new Map([...rest.all("todos")].sort()), new Map([...stands].sort()));
    for (const device of [one, two]) await device.agrees("todos", stands);
    const stored = rest.writes.slice(writes).map(({ key }) => key);
    assert.equal(new Set(stored).size, stored.length, "nothing was stored twice");
    const status = await one.status();
    assert.equal(status.delivery, "exactly-once");
  });

  scenario(stack, "what others change is shown at once where the backend says so", async (world) => {
    const device = await world.device({ rest: { port: rest.port, events: "/events" }, collections, options: SELDOM });
    await device.synced();
    rest.put("todos", "live", { title: "shown" });
    await device.until("shown", async () => (await window.tw.db.todos.get("live"))?.title === "shown");
    device.offline();
    rest.put("todos", "live", { title: "missed" });
    device.online();
    await device.until("caught up", async () => (await window.tw.db.todos.get("live"))?.title === "missed");
  });

  scenario(stack, "the classic face: saved offline, there after a reload, sent when there is a line", async (world) => {
    const device = await world.device({ rest, collections });
    await device.synced();
    rest.put("users", "1", { name: "Ada", city: "London" });
    await device.run(async () => void (window.tw.classic = window.tw.service()));
    await device.until("read", async () => (await window.tw.classic.getEntity("users", "1"))?.name === "Ada");
    device.offline();
    await device.until("noticed", () => !window.tw.classic.isOnline());
    const edited = { id: "1", name: "Ada L.", city: "London" };
    const saved = await device.run((entity) => window.tw.classic.syncEntity("users", entity), edited);
    assert.equal(saved.name, "Ada L.");
    await device.reload();
    await device.run(async () => void (window.tw.classic = window.tw.service()));
    assert.equal((await device.run(() => window.tw.classic.getEntity("users", "1"))).name, "Ada L.");
    rest.put("users", "1", { name: "Ada", city: "Paris" });
    device.online();
    await until("sent", () => rest.get("users", "1").value.name === "Ada L.");
    assert.equal(rest.get("users", "1").value.city, "Paris", "a field that only others changed is theirs");
  });

  scenario(stack, "the version of a row is kept with it and shown nowhere", async (world) => {
    const { version } = rest.put("todos", "plain", { title: "plain" });
    const device = await world.device({ rest, collections });
    await device.synced();
    device.offline();
    await device.reload();
    const seen = await device.run(async () => {
      const { db } = window.tw;
      const row = await db.todos.get("plain");
      await db.todos.update("plain", (draft) => void (draft.title = "edited"));
      return { keys: Object.keys(row).sort(), all: JSON.stringify(await db.export()), queue: await window.tw.queue() };
    });
    assert.deepEqual(seen.keys, ["$rev", "$sync", "$updatedAt", "id", "title"]);
    for (const form of [JSON.stringify(version).slice(1, -1), encodeURIComponent(version)])
      assert.ok(!seen.all.includes(form), form);
    assert.deepEqual(seen.queue.pending.map(({ set }) => set), [{ "/title": "edited" }]);
    const before = rest.conflicts;
    device.online();
    await device.synced();
    assert.equal(rest.get("todos", "plain").value.title, "edited");
    assert.equal(rest.conflicts, before, "it was sent with the version that was kept");
    await until("stored once", () => rest.writes.filter(({ id }) => id === "plain").length === 1);
  });
});

describe("a backend of the app's own, and several tabs", () => {
  const stack = useStack();
  /** @type {Awaited<ReturnType<typeof startRest>>} */
  let rest;
  before(async () => void (rest = await startRest({ latencyMs: 15, remembers: true })));
  after(() => rest.close());

  scenario(stack, "the tab that drains dies in the middle: another goes on, nothing counts twice", async (world) => {
    for (let n = 0; n < 20; n += 1) rest.put("todos", `${n}`, { votes: 0 });
    const device = await world.device({ rest: { port: rest.port, remembers: true }, tabs: 3 });
    await device.synced();
    device.offline();
    for (const tab of device.tabs) {
      await tab.run(async () => {
        const { db, inc } = window.tw;
        const ids = Array.from({ length: 20 }, (_, n) => `${n}`);
        for (const by of [1, 1, 1]) await Promise.all(ids.map((id) => db.todos.update(id, { votes: inc(by) })));
      });
    }
    const began = rest.writes.length;
    device.online();
    await until("it drains", () => rest.writes.length > began + 30);
    assert.ok(rest.writes.length < began + 150, "and is not done yet");
    const statuses = await Promise.all(device.tabs.map((tab) => tab.status()));
    const leader = statuses.findIndex((status) => status.leader);
    assert.ok(leader >= 0);
    await device.tabs[leader].close();
    device.tabs.splice(leader, 1);
    for (const tab of device.tabs) await tab.synced();
    const votes = [...rest.all("todos").values()].map((value) => value.votes);
    assert.deepEqual(votes, Array(20).fill(9));
    for (const tab of device.tabs) await tab.agrees("todos", rest.all("todos"));
    assert.ok(rest.mostForOne <= 2, "at most the dying tab's last call beside another");
  });
});
