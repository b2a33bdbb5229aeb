/**
 * A release with another storage format (the page under `/next/`) beside this one: the data moves, nothing is lost,
 * and the older release says so and stops.
 */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { scenario, useStack } from "../lib/stack.mjs";
import { until } from "../lib/until.mjs";

const CONFIG = `[collections.todos]\ntypes = { "/votes" = "number" }\n`;
/** Enough for more than one segment. */
const MANY = 1_500;
/** Kinds of records, as `core/src/log/record.rs` numbers them. */
const MOVED = 13;
const LEAD = 8;
const COMMIT = 1;

describe("a newer storage format", () => {
  const stack = useStack({ config: CONFIG });

  scenario(stack, "takes over rows, queue, dead letters and journal as they are; numbers go on", async (world) => {
    const device = await world.device();
    await fill(device);
    await insert(device, { title: "bad", votes: "none" });
    await until("a dead letter", async () => (await device.queue()).failed.length === 1);
    device.offline();
    await insert(device, { title: "pending", votes: 1 });
    const before = await queued(device);
    await device.first.close();
    const old = await dump(world, device, 1);
    // As the first release left it.
    await erase(world, device, "tidewire:tests:current");

    // This one stops before it changes anything by itself.
    const copying = await openNext(device, { script: dies, arg: { kind: LEAD } });
    await copying.until("moved", () => window.dead);
    await copying.close();
    const moved = await dump(world, device, 2);
    assert.ok(old.segs.length > 1);
    for (const part of ["segs", "dirs"]) assert.deepEqual(moved[part], old[part]);
    assert.deepEqual(moved.meta.slice(0, 3), old.meta);
    assert.deepEqual(moved.log.slice(0, old.log.length), old.log);
    const [last] = old.log.at(-1);
    assert.equal(moved.log[old.log.length][0], last + 2, "`Moved` has the number between");

    const tab = await openNext(device);
    device.tabs.splice(0, 2);
    assert.deepEqual(await queued(tab), before);
    assert.equal((await tab.rows("todos")).length, MANY + 1);
    assert.equal(await insert(tab, { title: "after", votes: 1 }), "stored");
    assert.ok((await tab.queue()).pending.at(-1).n[0] > last + 2);
    device.online();
    await tab.drained();
    assert.equal((await world.rows("todos")).size, MANY + 2);
  });

  scenario(stack, "beside an old tab: that one shows what it has, and writes and sends no more", async (world) => {
    const device = await world.device({ tabs: 2 });
    const [one, two] = device.tabs;
    await insert(one, { title: "before", votes: 1 });
    await one.synced();
    const tab = await openNext(device);
    for (const old of [one, two]) {
      await old.until("it says so", () => window.tw.db.sync.status.peek().reason === "upgrade");
      assert.equal(await insert(old, { title: "late", votes: 1 }), "format-newer");
      assert.equal((await old.rows("todos")).length, 1);
      assert.equal(await old.run(() => window.tw.events.filter(({ type }) => type === "upgrade").length), 1);
    }
    assert.equal(await insert(tab, { title: "new", votes: 1 }), "stored");
    await tab.synced();
    assert.equal((await world.rows("todos")).size, 2);
    await one.reload();
    assert.equal(await code(one), "format-newer");
    assert.equal((await one.rows("todos").catch(() => [])).length, 0);
  });

  scenario(stack, "beside an old tab that has not heard: its write is refused, and taken over once", async (world) => {
    // A record that is packed.
    const late = "late ".repeat(4_000);
    const device = await world.device();
    const old = await device.tab({ script: () => void delete (/** @type {any} */ (window).BroadcastChannel) });
    await device.first.close();
    device.tabs.shift();
    await insert(old, { title: "before", votes: 1 });
    await old.synced();
    const tab = await openNext(device);
    await tab.synced();
    device.offline();
    assert.equal(await insert(old, { title: late, votes: 1 }), "format-newer");
    assert.equal((await tab.rows("todos")).length, 1);
    await tab.reload();
    assert.deepEqual(titles(await tab.rows("todos")), ["before", late]);
    await tab.reload();
    assert.equal((await tab.queue()).pending.length, 1);
    device.online();
    await tab.synced();
    assert.deepEqual(titles([...(await world.rows("todos")).values()]), ["before", late]);
    const pushes = device.proxy.log.filter(({ path, body }) => path.endsWith("/push") && body.includes(`"${late}"`));
    assert.equal(pushes.length, 1);
  });

  for (const [where, at, answer] of /** @type {const} */ ([
    ["within the segments", { store: "segs" }, "stored"],
    ["before the old log ends", { kind: MOVED, before: true }, "stored"],
    ["when the old log has ended", { kind: MOVED }, "format-newer"],
    ["when the new log has begun", { kind: LEAD }, "format-newer"],
  ])) {
    scenario(stack, `of which the copy dies ${where}: the next open finishes it`, async (world) => {
      const device = await world.device();
      await fill(device);
      device.offline();
      await insert(device, { title: "pending", votes: 1 });
      const dying = await openNext(device, { script: dies, arg: at });
      await dying.until("dead", () => window.dead);
      await dying.close();
      device.tabs.pop();
      assert.equal(await insert(device, { title: "meanwhile", votes: 1 }), answer);
      // Refused, it may have landed behind the end of the old log all the same; then it is taken over.
      const { log } = await dump(world, device, 1);
      const end = log.findIndex(([, bytes]) => kindOf(bytes) === MOVED);
      const late = log.slice(end).filter(([, bytes]) => kindOf(bytes) === COMMIT).length;
      const found = answer === "stored" ? 1 : late;
      const tab = await openNext(device);
      const rows = await tab.rows("todos");
      assert.equal(titles(rows).filter((title) => title === "meanwhile").length, found);
      assert.equal(rows.length, MANY + 1 + found);
      device.online();
      await tab.drained();
      assert.equal((await world.rows("todos")).size, MANY + 1 + found);
    });
  }

  const alone = () => void delete (/** @type {any} */ (Navigator.prototype).locks);
  for (const script of [undefined, alone]) {
    const how = `in three tabs at once${script ? " without locks" : ""}, while an old one writes: each edit once`;
    scenario(stack, how, async (world) => {
      const device = await world.device();
      await fill(device);
      await device.run(() => {
        window.tw.written = [];
        const write = (n) =>
          window.tw.db.todos.insert({ title: `w${n}`, votes: 1 }).then(
            () => (window.tw.written.push(`w${n}`), write(n + 1)),
            (error) => (window.tw.stopped = error.code),
          );
        void write(0);
      });
      const tabs = await Promise.all([1, 2, 3].map(() => openNext(device, { script })));
      await device.until("the old tab has stopped", () => window.tw.stopped);
      assert.equal(await device.run(() => window.tw.stopped), "format-newer");
      const written = await device.run(() => window.tw.written);
      assert.ok(written.length > 0);
      await device.first.close();
      device.tabs.shift();
      await tabs[0].reload();
      await tabs[0].drained();
      const stored = titles([...(await world.rows("todos")).values()]).filter((title) => /^w\d+$/.test(title));
      assert.equal(new Set(stored).size, stored.length);
      for (const title of written) assert.ok(stored.includes(title), title);
      assert.ok(stored.length <= written.length + 1, "and what the last one left behind");
      for (const tab of tabs) await tab.agrees("todos", await world.rows("todos"));
    });
  }

  scenario(stack, "on a device that had no other: an older release does not begin beside it", async (world) => {
    const device = await world.device();
    await device.first.close();
    device.tabs.shift();
    await erase(world, device, "tidewire:tests:1", "tidewire:tests:current");
    const tab = await openNext(device);
    assert.equal(await insert(tab, { title: "new", votes: 1 }), "stored");
    const old = await device.tab();
    assert.equal(await code(old), "format-newer");
    assert.deepEqual(await databases(tab), ["tidewire:tests:2", "tidewire:tests:current"]);
    await tab.run(() => window.tw.db.erase());
    assert.deepEqual(await databases(tab), []);
    await old.reload();
    assert.equal(await insert(old, { title: "old", votes: 1 }), "stored");
  });

  scenario(stack, "keeps of the old one the log, and after a month nothing", async (world) => {
    const device = await world.device();
    await fill(device);
    await device.first.close();
    device.tabs.shift();
    const tab = await openNext(device);
    assert.equal((await tab.rows("todos")).length, MANY);
    assert.ok((await dump(world, device, 1)).segs.length > 0, "until a later open has found the new one whole");
    await tab.reload();
    assert.equal((await tab.rows("todos")).length, MANY);
    const old = await dump(world, device, 1);
    assert.deepEqual([old.segs, old.dirs], [[], []]);
    await tab.close();
    device.tabs.shift();
    const later = await openNext(device, { script: inAMonth });
    assert.equal((await later.rows("todos")).length, MANY);
    await until("it is gone", async () => !(await databases(later)).includes("tidewire:tests:1"));
    assert.equal(await code(await device.tab()), "format-newer");
    await later.reload();
    assert.equal((await later.rows("todos")).length, MANY);
  });
});

/** A tab of the newer release. */
function openNext(device, parts = {}) {
  return device.tab({ address: device.address.replace("/#", "/next/#"), ...parts });
}

function insert(tab, value) {
  const row = (text) => window.tw.db.todos.insert(text).then(
    () => "stored",
    (error) => error.code,
  );
  return tab.run(row, value);
}

/** What is in the queue, without what this page alone knows. */
async function queued(tab) {
  const { pending, failed } = await tab.queue();
  return [...pending, ...failed].map(({ write, attempts, status, ...entry }) => entry);
}

function titles(rows) {
  return rows.map((row) => row.title).sort();
}

/** Why the database cannot be opened. */
function code(tab) {
  return tab.run(() => window.tw.db.todos.where({}).get().then(
    () => "open",
    (error) => error.code,
  ));
}

/** Rows that do not pack well, on the server and in segments. */
async function fill(device) {
  await device.run(async (count) => {
    const text = () => Array.from({ length: 4 }, () => crypto.randomUUID()).join();
    await window.tw.db.todos.insertMany(Array.from({ length: count }, (_, votes) => ({ title: text(), votes })));
  }, MANY);
  await device.drained();
  await device.until("the log is sealed", async () => {
    const request = indexedDB.open("tidewire:tests:1");
    await new Promise((resolve) => (request.onsuccess = resolve));
    const count = request.result.transaction("segs").objectStore("segs").count();
    await new Promise((resolve) => (count.onsuccess = resolve));
    request.result.close();
    return count.result > 1;
  });
}

/** What a database holds, read by a page without Tidewire. */
async function dump(world, device, format) {
  const page = await device.context.newPage();
  await page.goto(`${world.page}/no-page`);
  const parts = await page.evaluate(async (name) => {
    const request = indexedDB.open(name);
    await new Promise((resolve) => (request.onsuccess = resolve));
    const db = request.result;
    const all = {};
    for (const store of db.objectStoreNames) {
      const cursor = db.transaction(store).objectStore(store).openCursor();
      all[store] = await new Promise((resolve) => {
        const found = [];
        cursor.onsuccess = () => {
          if (cursor.result === null) return resolve(found);
          const { key, value } = cursor.result;
          found.push([key, value instanceof Uint8Array ? [...value].join() : value]);
          cursor.result.continue();
        };
      });
    }
    db.close();
    return all;
  }, `tidewire:tests:${format}`);
  await page.close();
  return parts;
}

/** Of a record as `dump` has it. */
function kindOf(bytes) {
  return Number(bytes.split(",")[1]);
}

async function erase(world, device, ...names) {
  const page = await device.context.newPage();
  await page.goto(`${world.page}/no-page`);
  await page.evaluate(async (all) => {
    for (const name of all)
      await new Promise((resolve) => (indexedDB.deleteDatabase(name).onsuccess = resolve));
  }, names);
  await page.close();
}

function databases(tab) {
  return tab.run(async () => (await indexedDB.databases()).map(({ name }) => name).sort());
}

/** This page stores nothing any more from a put on: `before` it, or when its transaction is complete. */
function dies({ store, kind, before }) {
  const put = IDBObjectStore.prototype.put;
  IDBObjectStore.prototype.put = function (value, ...rest) {
    const meant = store === undefined ? this.name === "log" && value[1] === kind : this.name === store;
    if (meant && before) window.dead = true;
    if (window.dead) throw new DOMException("this page is dead", "AbortError");
    if (meant) this.transaction.addEventListener("complete", () => (window.dead = true));
    return put.call(this, value, ...rest);
  };
}

function inAMonth() {
  const now = Date.now;
  Date.now = () => now() + 31 * 24 * 3_600_000;
}
