/** The store when the browser misbehaves: stored buffers, no room, connections that die, commits of unknown fate. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { scenario, useStack } from "../lib/stack.mjs";
import { columnsInAll, countOf } from "../lib/stored.mjs";

/** Waits until a write of a new row is durable, and says what the log, read by the test itself, holds. */
async function insertAndReadLog(title) {
  const { db } = window.tw;
  await db.todos.insert({ title });
  const names = (await indexedDB.databases()).map((one) => one.name ?? "");
  const open = indexedDB.open(names.find((name) => /^tidewire:.*:\d+$/.test(name)) ?? "no store of Tidewire");
  const stored = await new Promise((resolve, reject) => {
    open.onerror = () => reject(open.error);
    open.onsuccess = () => {
      const read = open.result.transaction("log").objectStore("log").getAll();
      read.onsuccess = () => resolve(read.result);
    };
  });
  open.result.close();
  const texts = stored.map((record) => new TextDecoder().decode(record));
  return {
    times: texts.reduce((sum, text) => sum + text.split(`"${title}"`).length - 1, 0),
    ownBuffers: stored.every((record) => record.buffer.byteLength === record.byteLength),
  };
}

/** Runs in the page before anything else: faults that a test switches on by name, each for one transaction. */
function faults() {
  const proto = IDBTransaction.prototype;
  const { commit } = proto;
  const accessor = (name) => /** @type {any} */ (Object.getOwnPropertyDescriptor(proto, name));
  const reason = accessor("error");
  const complete = accessor("oncomplete");
  const { transaction } = IDBDatabase.prototype;
  const full = new WeakSet();
  const take = (fault) => window.fault === fault && ((window.fault = undefined), true);
  // There is no room in the log until somebody deletes segments.
  const { delete: remove } = IDBObjectStore.prototype;
  IDBObjectStore.prototype.delete = function (key) {
    if (this.name === "segs") take("full");
    return remove.call(this, key);
  };
  proto.commit = function () {
    if (window.fault === "full" && this.objectStoreNames.contains("log")) full.add(this);
    else if (take("quota")) full.add(this);
    else if (!take("abort")) return commit.call(this);
    return this.abort();
  };
  Object.defineProperty(proto, "error", {
    configurable: true,
    get() {
      return full.has(this) ? new DOMException("full", "QuotaExceededError") : reason.get.call(this);
    },
  });
  // Committed, and reported as aborted: what a storage process that dies at that moment looks like.
  Object.defineProperty(proto, "oncomplete", {
    configurable: true,
    get: complete.get,
    set(handler) {
      const lie = handler !== null && this.mode === "readwrite" && take("lie");
      complete.set.call(this, lie ? (event) => this.onabort(event) : handler);
    },
  });
  IDBDatabase.prototype.transaction = function (stores, mode, options) {
    if (mode === "readwrite" && take("dead")) throw new DOMException("closing", "InvalidStateError");
    return transaction.call(this, stores, mode, options);
  };
}

/** A device that is open, offline, and has nothing to store. */
async function calmDevice(world) {
  const device = await world.device({ line: (proxy) => proxy.refuse() });
  await device.run(async () => void (await window.tw.db.todos.insert({ title: "first" })));
  // The record that says who leads is stored when all of the module is there; then the server is tried.
  await device.until("that it leads", () => {
    const status = window.tw.db.sync.status.peek();
    const isTried = status.state === "offline" || (status.state === "connecting" && status.attempt > 0);
    return status.leader && isTried;
  });
  await device.run(faults);
  return device;
}

describe("storage", () => {
  const stack = useStack();

  scenario(stack, "stored bytes have buffers of their own, not the module's memory", async (world) => {
    const device = await calmDevice(world);
    assert.deepEqual(await device.run(insertAndReadLog, "plain"), { times: 1, ownBuffers: true });
  });

  for (const [fault, what] of [
    ["abort", "an append that was aborted is repeated"],
    ["lie", "an append that was committed, but seemed aborted, is not repeated"],
    ["dead", "a connection that died is opened again"],
  ]) {
    scenario(stack, what, async (world) => {
      const device = await calmDevice(world);
      await device.run((name) => void (window.fault = name), fault);
      const { times } = await device.run(insertAndReadLog, fault);
      assert.equal(times, 1);
      assert.equal(await device.run(() => window.fault), undefined, "the fault took place");
      await device.reload();
      assert.deepEqual(
        (await device.rows("todos")).map((row) => row.title).sort(),
        ["first", fault].sort(),
      );
    });
  }

  scenario(stack, "a write that finds no room is refused and taken back; the next one is stored", async (world) => {
    const device = await calmDevice(world);
    const outcome = await device.run(async () => {
      const { db } = window.tw;
      window.fault = "quota";
      const code = await db.todos.insert({ title: "too much" }).then(
        () => "stored",
        (error) => error.code,
      );
      await db.todos.insert({ title: "after" });
      return { code, titles: (await window.tw.rows("todos")).map((row) => row.title).sort() };
    });
    assert.deepEqual(outcome, { code: "quota", titles: ["after", "first"] });
  });

  scenario(stack, "rows that are only kept go before a write is refused", async (world) => {
    const count = 1_000;
    const office = await world.device({ name: "office" });
    await office.run(async (count) => {
      const noise = () => crypto.randomUUID() + crypto.randomUUID() + crypto.randomUUID() + crypto.randomUUID();
      const todos = Array.from({ length: count }, (_, i) => ({ id: `t${i}`, title: `${i} ${noise()} ${noise()}` }));
      await window.tw.db.todos.insertMany(todos);
    }, count);
    await office.synced();
    const device = await world.device({ collections: { todos: { replicate: { maxEntities: 1_000_000 } } } });
    await device.synced();
    await device.until("rows in segments", countOf, "segs");
    device.offline();
    await device.run(faults);
    const rows = await device.run(async () => {
      const { db } = window.tw;
      await db.todos.update("t7", { title: "edited" });
      window.fault = "full";
      await db.todos.insert({ id: "new", title: "needs room" });
      const rows = await window.tw.rows("todos");
      return { fault: window.fault, titles: rows.map((row) => row.title) };
    });
    assert.equal(rows.fault, undefined, "segments were deleted");
    assert.ok(rows.titles.length < count, `${rows.titles.length} rows`);
    assert.ok(rows.titles.includes("edited") && rows.titles.includes("needs room"));
    await device.reload();
    assert.deepEqual((await device.rows("todos")).map((row) => row.title).sort(), rows.titles.sort());
    device.online();
    await device.synced();
    const stored = await world.rows("todos");
    assert.equal(stored.size, count + 1, "nothing was deleted");
    assert.equal(stored.get("t7").title, "edited");
  });

  scenario(stack, "a row is answered before the store is read, and stays the same object", async (world) => {
    const device = await calmDevice(world);
    await device.run(async () => {
      const note = "A note that says nothing. ".repeat(20);
      const todos = Array.from({ length: 6_000 }, (_, i) => ({ id: `todo-${i}`, title: `todo ${i}`, note }));
      await window.tw.db.todos.insertMany(todos);
    });
    await device.until("rows in segments", countOf, "segs");
    await device.run(async () => {
      await window.tw.db.todos.update("todo-4711", { title: "patched" });
      sessionStorage.setItem("early", "todo-4711");
    });
    await device.reload();
    const outcome = await device.run(async () => {
      const { db, early } = window.tw;
      const { row, open } = await early;
      await db.todos.getMany([]);
      const { title, $sync } = row;
      return { title, status: $sync.status, open, same: row === db.todos.peek("todo-4711") };
    });
    assert.deepEqual(outcome, { title: "patched", status: "pending", open: false, same: true });
  });

  scenario(stack, "a first page is answered before the store is read, and stays the same", async (world) => {
    const device = await calmDevice(world);
    await device.run(async () => {
      const note = () => Array.from({ length: 30 }, () => Math.random().toString(36)).join(" ");
      const todo = (_, i) => ({ id: `todo-${i}`, title: `todo ${i}`, n: i, note: note() });
      const todos = Array.from({ length: 15_000 }, todo);
      await window.tw.db.todos.insertMany(todos);
    });
    await device.until("rows in segments", countOf, "segs");
    await device.run(async () => void (await window.tw.firstPage(window.tw.db).get()));
    await device.until("columns in all of them", columnsInAll);
    await device.run(async () => {
      await window.tw.db.todos.update("todo-14998", { title: "patched" });
      sessionStorage.setItem("earlyPage", "yes");
    });
    await device.reload();
    const outcome = await device.run(async () => {
      const { db, earlyPage, firstPage } = window.tw;
      const { rows, open } = await earlyPage;
      await db.todos.getMany([]);
      const now = firstPage(db).peek();
      return { titles: rows.map((row) => row.title), open, same: rows.every((row, i) => row === now[i]) };
    });
    const titles = ["todo 14999", "patched", "todo 14997"];
    assert.deepEqual(outcome, { titles, open: false, same: true });
  });

  for (const [store, sealed] of /** @type {const} */ ([
    ["log", false],
    ["segs", true],
  ])) {
    const what = sealed ? "segment" : "log record";
    scenario(stack, `a damaged ${what} is set aside and said; nothing is lost`, async (world) => {
      const writer = await world.device();
      await writer.run(
        (count) => window.tw.db.todos.insertMany(Array.from({ length: count }, (_, i) => ({ title: `todo ${i}` }))),
        sealed ? 1_500 : 20,
      );
      await writer.synced();
      const device = await world.device({ user: "bob" });
      await device.synced();
      if (sealed) await device.until("rows in segments", countOf, "segs");
      // A record behind the damaged one, and an edit that is not sent.
      await writer.run(async () => void (await window.tw.db.todos.insert({ title: "last" })));
      const count = sealed ? 1_501 : 21;
      await device.until("the last row", async (n) => (await window.tw.rows("todos")).length === n, count);
      device.offline();
      await device.run(async () => void (await window.tw.db.todos.insert({ title: "mine, unsent" })));
      await device.first.raw.open(`${world.page}/no-such-page`);
      assert.ok(await device.run(damage, { store, text: sealed ? "" : "todo 7" }));
      await device.first.open(device.address);
      await device.until("it is said", () => window.tw.events.some(({ code }) => code === "corrupt"));
      assert.equal((await device.status()).pending, 1);
      assert.ok((await device.rows("todos")).some((row) => row.title === "mine, unsent"));
      device.online();
      await device.synced();
      assert.equal((await world.rows("todos")).size, count + 1);
      await device.agrees("todos", await world.rows("todos"));
    });
  }
});

/** Runs in a page of the same origin: one bit of the first value that holds this text is another one. */
async function damage({ store, text }) {
  const names = (await indexedDB.databases()).map((one) => one.name ?? "");
  const open = indexedDB.open(names.find((name) => name.startsWith("tidewire:")) ?? "");
  await new Promise((resolve) => (open.onsuccess = resolve));
  const transaction = open.result.transaction(store, "readwrite");
  const cursor = transaction.objectStore(store).openCursor();
  let done = false;
  cursor.onsuccess = () => {
    const at = cursor.result;
    if (done || at === null) return;
    const bytes = new Uint8Array(at.value);
    if (!new TextDecoder().decode(bytes).includes(text)) return at.continue();
    bytes[bytes.length - 1] ^= 1;
    at.update(bytes);
    done = true;
  };
  await new Promise((resolve) => (transaction.oncomplete = resolve));
  open.result.close();
  return done;
}
