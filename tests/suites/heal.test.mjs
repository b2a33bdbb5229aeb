/** A device that holds other data than the server notices it, says so, and reads the collection again, once. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import * as faults from "../lib/faults.mjs";
import { scenario, useStack } from "../lib/stack.mjs";
import { until } from "../lib/until.mjs";

const OPTIONS = { verifyMs: 1_000 };
const COLLECTIONS = { todos: {}, others: {} };

/** The writer's rows, all on the server. */
async function written(world, count, body = "") {
  const writer = await world.device({ collections: COLLECTIONS });
  await writer.run(
    async (arg) => {
      const { db } = window.tw;
      await db.todos.insertMany(Array.from({ length: arg.count }, (_, i) => ({ title: `todo ${i}`, body: arg.body })));
      await db.others.insert({ title: "apart" });
    },
    { count, body },
  );
  await writer.synced();
  return writer;
}

const reports = (device) =>
  device.run(() => window.tw.events.filter(({ type, code }) => type === "watchdog" && code === "diverged"));

describe("healing", () => {
  const stack = useStack();

  scenario(stack, "a row that was lost on the way comes back; what waits to be sent stays", async (world) => {
    const writer = await written(world, 20);
    let lost;
    let pushes;
    const isLost = (row) => row.c === "todos" && (lost ??= row.id) === row.id;
    const reader = await world.device({
      user: "bob",
      collections: COLLECTIONS,
      options: OPTIONS,
      line: (proxy) => {
        proxy.next("/pull", 1, faults.loseLines(isLost));
        // Pushes do not get through for now.
        pushes = proxy.next("/push", 1_000, faults.answer(503, "server-error"));
      },
    });
    await reader.until("its first rows", async () => (await window.tw.rows("todos")).length === 19);
    await reader.run(async () => {
      const { db } = window.tw;
      const [one] = await db.todos.where({}).get();
      await db.todos.update(one.id, { title: "edited" });
      await db.todos.insert({ title: "waits" });
    });
    await reader.until("healed", async () => (await window.tw.rows("todos")).length === 21);
    const [report, ...more] = await reports(reader);
    assert.deepEqual([report.collection, more], ["todos", []]);
    const queue = await reader.queue();
    assert.deepEqual(queue.pending.map((entry) => entry.kind).sort(), ["insert", "patch"]);
    assert.deepEqual(queue.failed, []);
    pushes.stop();
    await reader.synced();
    await reader.agrees("todos", await world.rows("todos"));
    await writer.agrees("todos", await world.rows("todos"));
    const health = await reader.run(() => window.tw.db.sync.health.get());
    assert.doesNotMatch(health.reasons.join(), /differ/);
  });

  scenario(stack, "a segment that is gone from the store is noticed at the next comparison", async (world) => {
    const writer = await written(world, 600, "a few words that do not compress to nothing ".repeat(5));
    const reader = await world.device({ user: "bob", collections: COLLECTIONS, options: OPTIONS });
    await reader.synced();
    await reader.until("rows in segments", countSegments);
    await reader.first.raw.open(`${world.page}/no-such-page`);
    assert.ok((await reader.run(loseSegment)) > 0);
    await reader.first.open(reader.address);
    await reader.until("rows are missing", async () => (await window.tw.rows("todos")).length < 600);
    await reader.run(async () => void (await window.tw.db.todos.insert({ title: "written meanwhile" })));
    const isOfTodos = ({ collection }) => collection === "todos";
    await until("it was reported", async () => (await reports(reader)).some(isOfTodos));
    await reader.synced();
    await reader.agrees("todos", await world.rows("todos"));
    assert.equal((await world.rows("todos")).size, 601);
    for (const { message } of await reports(reader)) assert.match(message, /it is read again/);
    await reader.reload();
    await reader.agrees("todos", await world.rows("todos"));
    await writer.agrees("todos", await world.rows("todos"));
  });

  scenario(stack, "a difference that stays is reported once, and nothing more is read for it", async (world) => {
    await written(world, 5);
    let rule;
    const reader = await world.device({
      user: "bob",
      collections: COLLECTIONS,
      options: OPTIONS,
      line: (proxy) => (rule = proxy.next("/pull", 1_000, faults.loseLines((row) => row.c === "todos"))),
    });
    await until("reported", async () => (await reports(reader)).length === 2);
    const rereads = () => reader.proxy.seen("/pull").filter(({ body }) => JSON.parse(body).reread?.length > 0).length;
    assert.equal(rereads(), 1);
    const seen = rule.met();
    await until("comparisons go on", () => rule.met() >= seen + 2);
    assert.equal(rereads(), 1);
    assert.equal((await reports(reader)).length, 2);
    const health = await reader.run(() => window.tw.db.sync.health.get());
    assert.equal(health.healthy, false);
    assert.match(health.reasons.join(), /differs from the server's/);
  });
});

/** Runs in the page: how many segments are stored. */
async function countSegments() {
  const names = (await indexedDB.databases()).map((one) => one.name ?? "");
  const open = indexedDB.open(names.find((name) => /^tidewire:.*:\d+$/.test(name)) ?? "");
  const db = await new Promise((resolve) => (open.onsuccess = () => resolve(open.result)));
  const count = db.transaction("segs").objectStore("segs").count();
  await new Promise((resolve) => (count.onsuccess = resolve));
  db.close();
  return count.result;
}

/** Runs in a page of the same origin: the oldest segment goes, with its directory, as if it had never been. */
async function loseSegment() {
  const names = (await indexedDB.databases()).map((one) => one.name ?? "");
  const open = indexedDB.open(names.find((name) => /^tidewire:.*:\d+$/.test(name)) ?? "");
  const db = await new Promise((resolve) => (open.onsuccess = () => resolve(open.result)));
  const transaction = db.transaction(["segs", "dirs"], "readwrite");
  const keys = transaction.objectStore("segs").getAllKeys();
  keys.onsuccess = () => {
    for (const name of ["segs", "dirs"]) transaction.objectStore(name).delete(keys.result[0]);
  };
  await new Promise((resolve) => (transaction.oncomplete = resolve));
  db.close();
  return keys.result.length;
}
