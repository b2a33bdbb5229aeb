/** Journeys without the second part of the module: it comes late, or not at all. */
import assert from "node:assert/strict";

import { countOf } from "./stored.mjs";
import { until } from "./until.mjs";

const isMore = (name) => name.includes("tidewire-more");

/** The second part comes only when the returned function is called. */
function hold(world) {
  let release;
  const promise = new Promise((resolve) => (release = resolve));
  let asked = 0;
  world.faults.before = (name) => {
    if (!isMore(name)) return undefined;
    asked += 1;
    return promise;
  };
  return { release: () => release(undefined), asked: () => asked };
}

/** Neither the file nor the inlined copy is to be had. */
function refuse(world) {
  world.faults.before = (name) => (isMore(name) || name.includes("wasm-inline") ? 404 : undefined);
}

const heal = (world) => void (world.faults.before = () => undefined);
const codes = (device) => device.run(() => window.tw.events.map((event) => event.code).filter(Boolean));
const insert = (device, row) =>
  device.run(async (value) => {
    const write = window.tw.db.todos.insert(value);
    await write;
    return write.id;
  }, row);
const edit = (device, id, patch) =>
  device.run(async ([which, values]) => void (await window.tw.db.todos.update(which, values)), [id, patch]);

/** What an app does on its own device needs nothing of the second part. What is made here is deleted again. */
async function workLocally(device) {
  await device.run(async () => {
    const { db, add, inc, remove } = window.tw;
    const seen = [];
    const live = db.todos.where({ n: { gt: 1 } }).orderBy("n", "desc").limit(5);
    const stop = live.subscribe((rows) => seen.push(rows.length), { flush: "sync" });
    const write = db.todos.insert({ title: "tried", n: 2, tags: ["a"], deep: { at: new Date(0).toISOString() } });
    await write;
    await db.todos.update(write.id, { n: inc(0.5), tags: add("b"), deep: { more: [1, { x: "\u00e9\n" }] } });
    await db.todos.update(write.id, { tags: remove("a"), deep: undefined });
    await db.transaction((tx) => {
      tx.todos.upsert({ id: write.id, title: "tried again", n: 3 });
      tx.todos.update(write.id, { title: "and again" });
    });
    const found = await db.todos.where({ $or: [{ title: { startsWith: "and" } }, { n: { in: [7] } }] }).get();
    if (found.length !== 1 || found[0].title !== "and again") throw new Error(JSON.stringify(found));
    await db.todos.where({ n: { gte: 1 } }).count().get();
    for (const view of ["status", "queue", "health", "metrics"]) await db.sync[view].get();
    await db.todos.insertMany(Array.from({ length: 30 }, (_, n) => ({ id: `many${n}`, title: `many ${n}`, n })));
    for (let n = 0; n < 30; n += 1) await db.todos.delete(`many${n}`);
    await db.todos.delete(write.id);
    if (seen.at(-1) !== 0) throw new Error(JSON.stringify(seen));
    stop();
  });
}

/** A conflict meets a tab without the second part. */
export async function lateJourney(world) {
  const ann = await world.device();
  const id = await insert(ann, { title: "both change it", done: false });
  await ann.synced();
  const bob = await world.device({ user: "bob" });
  await bob.until("Bob has the row", async () => (await window.tw.rows("todos")).length === 1);
  ann.offline();
  await edit(ann, id, { title: "Ann's" });
  await edit(bob, id, { title: "Bob's" });
  await bob.synced();

  const held = hold(world);
  await ann.reload();
  ann.online();
  await edit(ann, id, { done: true });
  await insert(ann, { title: "before it came", done: false });
  await workLocally(ann);
  const seen = await ann.run(async () => (await window.tw.db.todos.where({ done: true }).get()).map((r) => r.title));
  assert.deepEqual(seen, ["Ann's"]);
  await ann.run(() => void (window.tw.exported = window.tw.db.export()));
  await ann.until("the second part was asked for", () => window.tw.db.sync.status.peek() !== undefined);
  assert.equal((await ann.status()).leader, false);
  assert.ok((await ann.queue()).pending.length > 60);

  held.release();
  await Promise.all([ann.synced(), bob.synced()]);
  const rows = await world.rows("todos");
  assert.deepEqual([...rows.values()].map(({ done }) => done).sort(), [false, true]);
  await Promise.all([ann.agrees("todos", rows), bob.agrees("todos", rows)]);
  const exported = await ann.run(async () => (await window.tw.exported).collections.todos.length);
  assert.equal(exported, 2);
  assert.ok(held.asked() > 0);
  assert.deepEqual(await codes(ann), []);
}

/** What is stored needs the second part as soon as it is read. */
export async function neededJourney(world) {
  const ann = await world.device();
  // What may have been sent is not given up.
  await ann.run(() => window.tw.db.sync.pause());
  await insert(ann, { title: "stays" });
  await insert(ann, { title: "goes" });
  await ann.run(async () => {
    const { queue } = window.tw.db.sync;
    const [, last] = (await queue.get()).pending;
    await queue.discard(last.n);
  });
  await ann.until("it is gone", async () => (await window.tw.rows("todos")).length === 1);

  ann.offline();
  const held = hold(world);
  await ann.reload();
  await ann.run(() => void (window.tw.reading = window.tw.rows("todos")));
  held.release();
  const read = () => ann.run(async () => (await window.tw.reading).map((row) => row.title));
  assert.deepEqual(await read(), ["stays"]);
  assert.deepEqual(await codes(ann), []);

  refuse(world);
  await ann.reload();
  const refusal = await ann.run(() => window.tw.rows("todos").catch((error) => [error.code, error.retryable]));
  assert.deepEqual(refusal, ["wasm-load", true]);
  heal(world);
  ann.online();
  await ann.synced();
  const rows = await world.rows("todos");
  assert.deepEqual([...rows.values()].map(({ title }) => title), ["stays"]);
}

/** Fields that stay on the device, and collections kept in part: what reads and writes them is in the second part. */
export async function rareJourney(world) {
  const collections = { todos: { local: ["note"], replicate: { maxEntities: 3_000 } } };
  const ann = await world.device({ collections });
  await ann.run(() =>
    window.tw.db.todos.insertMany(Array.from({ length: 1_500 }, (_, n) => ({ id: `t${n}`, title: "x", note: `${n}` }))),
  );
  await ann.until("the log is sealed", countOf, "segs");
  ann.offline();
  const held = hold(world);
  await ann.reload();
  const reading = ann.run(async () => (await window.tw.db.todos.get("t7")).note);
  await until("it is asked for", () => held.asked() > 0);
  held.release();
  assert.equal(await reading, "7");
  assert.deepEqual(await codes(ann), []);
}

/** The second part is refused: this device reads and writes, says why it does not sync, and does so later. */
export async function refusedJourney(world) {
  refuse(world);
  const ann = await world.device();
  const id = await insert(ann, { title: "first" });
  await edit(ann, id, { title: "second" });
  await ann.until("it is said", () => window.tw.events.some(({ code }) => code === "wasm-load"));
  const refusal = await ann.run(() => window.tw.db.export().catch((error) => [error.code, error.retryable]));
  assert.deepEqual(refusal, ["wasm-load", true]);
  await ann.reload();
  await insert(ann, { title: "third" });
  const titles = async () => (await ann.rows("todos")).map(({ title }) => title).sort();
  assert.deepEqual(await titles(), ["second", "third"]);
  assert.equal((await world.rows("todos")).size, 0);

  heal(world);
  await ann.synced();
  assert.deepEqual([...(await world.rows("todos")).values()].map(({ title }) => title).sort(), ["second", "third"]);
}
