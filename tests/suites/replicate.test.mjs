/** What a device keeps: fields that never leave it, in a real browser against the real server. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { diskDevice } from "../lib/disk.mjs";
import { scenario, useStack } from "../lib/stack.mjs";
import { until } from "../lib/until.mjs";

describe("local fields", () => {
  const stack = useStack();
  const LOCAL = { todos: { local: ["note", "ui.open"] } };

  scenario(stack, "never leave, and stay through changes, reload and other tabs", async (world) => {
    const device = await world.device({ collections: LOCAL });
    const other = await world.device({ name: "other" });
    await device.run(async () => {
      const { db } = window.tw;
      const w = db.todos.insert({ id: "t1", title: "Milk", note: "canary one", ui: { open: "canary two", tab: 1 } });
      await w.server({ timeoutMs: 60_000 });
      await db.todos.update("t1", { note: "canary three" });
      await db.todos.update("t1", { title: "Bread", "ui.open": "canary four" });
      await db.todos.update("t1", (todo) => void (todo.ui = { open: "canary five", tab: 2 }));
      await db.todos.insertMany(Array.from({ length: 200 }, (_, n) => ({ title: `${n}`, note: `canary ${n}` })));
      const gone = await db.todos.insert({ id: "t2", title: "Gone", note: "canary six" });
      await db.todos.delete("t2");
      return gone;
    });
    await device.synced();
    const rows = await world.rows("todos");
    assert.equal(rows.size, 201);
    await other.agrees("todos", rows);
    await other.run(() => window.tw.db.todos.update("t1", { title: "Butter" }));
    await device.until("the other's change", () => window.tw.db.todos.peek("t1")?.title === "Butter");
    const expected = { title: "Butter", note: "canary three", ui: { open: "canary five", tab: 2 } };
    const shown = () => {
      const { title, note, ui } = window.tw.db.todos.peek("t1") ?? {};
      return { title, note, ui };
    };
    assert.deepEqual(await device.run(shown), expected);
    const found = () => window.tw.db.todos.where({ note: { startsWith: "canary" } }).count().get();
    assert.equal(await device.run(found), 201);
    await device.reload();
    await device.run(() => window.tw.db.todos.get("t1"));
    assert.deepEqual(await device.run(shown), expected);
    const second = await device.tab();
    await second.run(() => window.tw.db.todos.update("t1", { note: "canary seven" }));
    await until("the first tab has it", () =>
      device.run(() => window.tw.db.todos.peek("t1")?.note === "canary seven"),
    );
    await device.synced();
    // Whatever left the device is in the log of its line; whatever the server keeps comes with a first pull.
    for (const { body } of device.proxy.log) assert.ok(!body.includes("canary"), body.slice(0, 500));
    assert.ok(!JSON.stringify([...(await world.rows("todos"))]).includes("canary"));
    assert.ok(!(await world.server.holds("canary")), "no file of the server has it");
    await other.run(() => window.tw.db.todos.delete("t1"));
    await device.until("the delete", () => window.tw.db.todos.peek("t1") === undefined);
    await other.run(() => window.tw.db.todos.insert({ id: "t1", title: "Another" }));
    await device.until("the other one", () => window.tw.db.todos.peek("t1")?.title === "Another");
    assert.equal(await device.run(() => window.tw.db.todos.peek("t1").note), undefined);
  });
});

describe("partial replication", () => {
  const stack = useStack();
  const OPEN = { todos: { replicate: { where: { done: false } } } };

  scenario(stack, "keeps what the filter asks for, and nothing else on the disk", async (world) => {
    const office = await world.device({ name: "office" });
    await fill(office, 40);
    const device = await diskDevice(world, "chromium", { collections: OPEN });
    await device.tab();
    await device.synced();
    assert.deepEqual(await titles(device), names(40, (n) => n % 2 === 0));
    const view = await device.run(() => window.tw.db.sync.health.get().then(({ collections }) => collections.todos));
    assert.equal(view.count, 20);
    // What leaves and what enters, live; a fetched row, and a row of one's own outside the filter.
    await office.run(async () => {
      await window.tw.db.todos.update("t00", { done: true });
      await window.tw.db.todos.update("t01", { done: false });
    });
    await device.until("the other's changes", async () => {
      const rows = await window.tw.rows("todos");
      return rows.some(({ id }) => id === "t01") && !rows.some(({ id }) => id === "t00");
    });
    const fetched = await device.run(async () => {
      const { db } = window.tw;
      const known = await db.todos.fetch("t02");
      const row = await db.todos.fetch("t03");
      const none = await db.todos.fetch("nowhere");
      await db.todos.insert({ id: "own", title: "own", done: true }).server({ timeoutMs: 60_000 });
      const { hits, misses, hitRate } = (await db.sync.health.get()).collections.todos;
      const own = db.todos.peek("own")?.title;
      return { known: known?.title, row: row?.title, none: none ?? null, own, hits, misses, hitRate };
    });
    const [known, row] = [word(2), word(3)];
    assert.deepEqual(fetched, { known, row, none: null, own: "own", hits: 1, misses: 2, hitRate: 1 / 3 });
    await device.synced();
    await device.quit();
    const outside = names(40, (n) => n % 2 === 1 && n !== 1 && n !== 3);
    assert.deepEqual(await device.finds([...outside, word(2), word(1)]), [word(2), word(1)]);
    await device.tab();
    await device.until("the store is open", async () => (await window.tw.rows("todos")).length > 0);
    const kept = [...names(40, (n) => (n % 2 === 0 && n !== 0) || n === 1 || n === 3), "own"].sort();
    assert.deepEqual((await titles(device)).sort(), kept);
    assert.equal((await world.rows("todos")).size, 41, "nothing was deleted");
  });

  scenario(stack, "fetches what is not replicated, and says when it cannot", async (world) => {
    const office = await world.device({ name: "office" });
    await fill(office, 10);
    const device = await world.device({ collections: { todos: { replicate: "none" } } });
    await device.synced();
    assert.deepEqual(await titles(device), []);
    for (const { body } of device.proxy.seen("pull")) assert.ok(!JSON.parse(body).collections.includes("todos"));
    const second = await device.tab();
    assert.equal(await second.run(() => window.tw.db.todos.fetch("t05").then((row) => row.title)), word(5));
    const own = await device.run(async () => {
      const { db } = window.tw;
      const missing = [];
      const stop = db.todos.live("own").subscribe((row) => missing.push(row === undefined), { flush: "sync" });
      await db.todos.insert({ id: "own", title: "mine", done: true }).server({ timeoutMs: 60_000 });
      await db.todos.update("t05", { title: "changed here" }).server({ timeoutMs: 60_000 });
      await new Promise((resolve) => setTimeout(resolve, 500));
      stop();
      return { gaps: missing.slice(1).filter(Boolean).length, rev: db.todos.peek("own").$rev > 0 };
    });
    assert.deepEqual(own, { gaps: 0, rev: true });
    assert.equal((await world.rows("todos")).get("t05").title, "changed here");
    device.offline();
    const codes = await device.run(async () => {
      const { db } = window.tw;
      const code = (fetched) => fetched.then(() => "fetched", (error) => error.code ?? error.name);
      const controller = new AbortController();
      const aborted = code(db.todos.fetch("t06", { signal: controller.signal }));
      controller.abort();
      const late = await code(db.todos.fetch("t07", { timeoutMs: 2_000 }));
      return [await aborted, late, await code(db.todos.fetch("t05"))];
    });
    assert.ok(["aborted", "AbortError"].includes(codes[0]), codes[0]);
    assert.ok(["offline", "timeout"].includes(codes[1]), codes[1]);
    assert.equal(codes[2], "fetched");
    await until("the connection is known to be lost", async () => {
      const said = await device.run(() => window.tw.db.todos.fetch("t08").catch((error) => error.code));
      return said === "offline";
    });
    device.online();
    await device.synced();
    // From nothing to all of it.
    const address = device.address;
    const option = (value) => encodeURIComponent(`"replicate":"${value}"`);
    device.address = address.replace(option("none"), option("full"));
    assert.notEqual(device.address, address);
    await second.close();
    await device.first.open("about:blank#").catch(() => undefined);
    await device.first.open(device.address);
    await device.agrees("todos", await world.rows("todos"));
  });

  scenario(stack, "gives up what is too much and what is old, and never what is pending", async (world) => {
    const office = await world.device({ name: "office" });
    await fill(office, 60);
    const bounded = { todos: { replicate: { maxEntities: 10, ttlMs: 20_000 } } };
    const device = await world.device({ collections: bounded });
    await device.synced();
    await device.until("no more than the bound", async () => (await window.tw.rows("todos")).length <= 10, undefined, {
      timeoutMs: 40_000,
    });
    const [kept] = await device.run(async () => (await window.tw.rows("todos")).map(({ id }) => id));
    device.offline();
    await device.run((id) => window.tw.db.todos.update(id, { title: "pending" }), kept);
    await device.until("the others are old", async () => (await window.tw.rows("todos")).length === 1, undefined, {
      timeoutMs: 90_000,
    });
    assert.deepEqual(await titles(device), ["pending"]);
    device.online();
    await device.synced();
    const rows = await world.rows("todos");
    assert.deepEqual([rows.size, rows.get(kept).title], [60, "pending"]);
    const health = await device.run(() => window.tw.db.sync.health.get().then(({ collections }) => collections.todos));
    assert.ok(health.evicted >= 59, JSON.stringify(health));
    for (const { body } of device.proxy.seen("push")) assert.ok(!body.includes('"delete"'), body.slice(0, 300));
  });
});

/** A word of which no other row has a piece. */
const word = (n) => [1, 2, 3, 4].map((i) => mixed(n * 4 + i).toString(16).padStart(8, "0")).join("");
const mixed = (n) => Math.imul(n ^ (n << 13), 2_654_435_761) >>> 0;
const names = (count, is) => Array.from({ length: count }, (_, n) => n).filter(is).map(word).sort();

async function fill(device, count) {
  const rows = Array.from({ length: count }, (_, n) => ({
    id: `t${String(n).padStart(2, "0")}`,
    title: word(n),
    done: n % 2 === 1,
  }));
  await device.run((values) => window.tw.db.todos.insertMany(values).then(() => undefined), rows);
  await device.synced();
}

const titles = (device) =>
  device.run(async () => (await window.tw.rows("todos")).map(({ title }) => title)).then((all) => all.sort());
