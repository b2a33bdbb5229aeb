/** An encrypted store: what is on the disk, whose keys open it, and what comes of it when somebody changes it. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { Device } from "../lib/device.mjs";
import { segments } from "../lib/fill.mjs";
import { scenario, useStack } from "../lib/stack.mjs";
import { until } from "../lib/until.mjs";
import { passphrase } from "../lib/vault.mjs";

/** 32 bytes: no passphrase to stretch, so these tests are quick. */
const KEY = { key: Array.from({ length: 32 }, (_, i) => i) };

describe("an encrypted store", () => {
  const stack = useStack();

  scenario(stack, "opens with its own passphrase only, and no other one harms it", async (world) => {
    const device = await world.device({ options: { encrypt: passphrase("right") }, line: (proxy) => proxy.refuse() });
    await insert(device, "mine");
    const tries = [
      [passphrase("wrong"), "wrong-key"],
      [KEY, "wrong-key"],
      [undefined, "encrypted"],
      [passphrase(""), "bad-config"],
      [{ key: [1, 2, 3] }, "bad-config"],
    ];
    for (const [encrypt, expected] of tries) {
      await reopen(world, device, { encrypt });
      assert.equal(await opens(device), expected);
    }
    await reopen(world, device, { encrypt: passphrase("right") });
    assert.deepEqual(await titles(device), ["mine"]);
    assert.equal((await device.queue()).pending.length, 1);
    // Whoever has lost it can begin anew.
    await reopen(world, device, { encrypt: passphrase("wrong") });
    assert.equal(await opens(device), "wrong-key");
    await device.run(() => window.tw.db.erase());
    await reopen(world, device, { encrypt: passphrase("wrong") });
    assert.deepEqual(await titles(device), []);
  });

  scenario(stack, "is not made of a plain one, which stays what it is", async (world) => {
    const device = await world.device({ line: (proxy) => proxy.refuse() });
    await insert(device, "plain");
    await reopen(world, device, { encrypt: KEY });
    assert.equal(await opens(device), "not-encrypted");
    await reopen(world, device, {});
    assert.deepEqual(await titles(device), ["plain"]);
  });

  scenario(stack, "takes a key that nobody can read, and what a function gives for each user", async (world) => {
    const device = await world.device();
    const codes = await device.run(async () => {
      const aes = { name: "AES-GCM", length: 256 };
      const made = (extractable, uses) => crypto.subtle.generateKey(aes, extractable, uses);
      const all = ["encrypt", "decrypt"];
      const [key, readable, half] = await Promise.all([made(false, all), made(true, all), made(false, ["encrypt"])]);
      const users = [];
      const cancelled = () => Promise.reject(new Error("cancelled"));
      const asked = (user) => (users.push(user), { key });
      const given = [{ key }, { key }, { key: readable }, { key: half }, { key: "text" }, cancelled, asked];
      const codes = [];
      for (const [i, encrypt] of given.entries()) {
        const db = window.tw.open({ name: `keys-${i < 2 ? 0 : i}`, encrypt });
        const code = await db.todos.insert({ title: `${i}` }).then(
          () => "stored",
          (error) => error.code,
        );
        if (i === given.length - 1) await db.signIn("ann");
        codes.push(code === "stored" ? (await db.todos.where({}).get()).length : code);
        if (i === given.length - 1) await db.signOut({ pending: "discard", wipe: true });
        await db.close();
      }
      const left = (await indexedDB.databases()).filter(({ name = "" }) => name.includes("@ann"));
      return { codes, users, left };
    });
    assert.deepEqual(codes, {
      codes: [1, 2, "bad-config", "bad-config", "bad-config", "wrong-key", 1],
      // To adopt what was written before, the first store is opened once more.
      users: [null, "ann", null, null],
      left: [],
    });
  });

  scenario(stack, "is one for all tabs, also for those that make it at once or erase it", async (world) => {
    const device = await world.device({ tabs: 0, options: { encrypt: KEY } });
    const tabs = await Promise.all([1, 2, 3].map(() => device.tab()));
    for (const [i, tab] of tabs.entries()) await insert(tab, `${i}`);
    for (const tab of tabs) await tab.until("all rows", async () => (await window.tw.rows("todos")).length === 3);
    await device.synced();
    device.offline();
    await insert(tabs[1], "unsent");
    await tabs[0].run(() => window.tw.db.erase());
    await tabs[0].reload();
    await insert(tabs[0], "of the new one");
    await insert(tabs[1], "of the other tab");
    await insert(tabs[2], "of the third");
    assert.equal(await device.run(unsealed), 0);
    for (const tab of tabs) await tab.reload();
    for (const tab of tabs) {
      const found = await titles(tab);
      const wanted = ["of the new one", "of the other tab", "of the third", "unsent"];
      for (const title of wanted) assert.ok(found.includes(title), title);
    }
    device.online();
    await device.synced();
    await device.agrees("todos", await world.rows("todos"));
  });

  scenario(stack, "moves to a newer format with its keys, and stays sealed", async (world) => {
    const device = await world.device({ options: { encrypt: passphrase("kept") } });
    await device.run(insertMany);
    await device.synced();
    await device.until("rows in segments", segments);
    device.offline();
    await insert(device, "unsent");
    const old = device.tabs.splice(0);
    const tab = await device.tab({ address: device.address.replace("/#", "/next/#") });
    assert.equal((await tab.rows("todos")).length, 1_501);
    assert.equal((await tab.queue()).pending.length, 1);
    await insert(tab, "after the move");
    assert.equal(await tab.run(unsealed), 2, "`Moved` and `Lead`, which hold nothing");
    await old[0].close();
    await tab.reload();
    device.online();
    await tab.synced();
    await tab.agrees("todos", await world.rows("todos"));
  });
});

describe("an encrypted store that somebody changed", () => {
  const stack = useStack();
  const changes = {
    "a bit of a log record": { store: "log", change: "flip" },
    "a bit of a segment": { store: "segs", change: "flip" },
    "a bit of a directory": { store: "dirs", change: "flip" },
    "a bit of the summary": { store: "meta", change: "flip" },
    "two log records under each other's key": { store: "log", change: "swap" },
    "two segments under each other's key": { store: "segs", change: "swap" },
    "the contents of two segments under each other's id": { store: "segs", change: "graft" },
    "a log record that is not sealed": { store: "log", change: "plain" },
  };

  for (const [what, how] of Object.entries(changes)) {
    scenario(stack, `notices ${what}, shows nothing of it, and heals`, async (world) => {
      const device = await world.device({ options: { encrypt: KEY } });
      await device.run(insertMany);
      await device.synced();
      await device.until("more than one segment", segments);
      // What was written before the last seal is not in the log any more.
      await until("records in the log", async () => {
        for (const title of ["one", "two", "three"]) await insert(device, title);
        await device.synced();
        return device.run(logged);
      });
      const forged = await device.run(forge);
      device.offline();
      await device.first.raw.open(`${world.page}/no-such-page`);
      assert.equal(await device.run(change, { ...how, forged }), true);
      await device.first.open(device.address);
      await device.until("it is said", () => window.tw.events.some(({ code }) => code === "corrupt"));
      const known = new Set([...Array.from({ length: 1_500 }, (_, i) => `${i}`), "one", "two", "three"]);
      for (const title of await titles(device)) assert.ok(known.has(title), title);
      device.online();
      await device.synced();
      await device.agrees("todos", await world.rows("todos"));
    });
  }
});

describe("an insecure context", () => {
  const stack = useStack({ config: (port) => `[server]\norigins = ["http://insecure.test:${port}"]\n` });

  scenario(stack, "has no keys, so an encrypted store does not open there", async (world) => {
    const device = await world.device({ tabs: 0, options: { encrypt: passphrase("any") } });
    device.address = device.address.replace("//localhost:", "//insecure.test:");
    await device.tab();
    assert.equal(await opens(device), "insecure-context");
  });
});

/** The same store with other options. */
async function reopen(world, device, options) {
  const { proxy } = device;
  const token = await world.server.token("ann", world.tenant);
  device.address = Device.address(world.page, { proxy, token, collections: { todos: {} }, options });
  await device.first.raw.open(`${world.page}/no-such-page`);
  await device.first.open(device.address);
}

/** Whether a read is answered, or why not. */
function opens(device) {
  return device.run(() =>
    window.tw.db.todos.get("x").then(
      () => "opened",
      (error) => error.code,
    ),
  );
}

async function titles(device) {
  return (await device.rows("todos")).map((row) => row.title).sort();
}

function insert(device, title) {
  return device.run(async (text) => void (await window.tw.db.todos.insert({ title: text })), title);
}

/** Runs in the page: enough for more than one segment. */
function insertMany() {
  return window.tw.db.todos.insertMany(Array.from({ length: 1_500 }, (_, i) => ({ title: `${i}` })));
}

/** Runs in the page: how many values of all stores are neither sealed, nor numbers, nor what says of the keys. */
async function unsealed() {
  let count = 0;
  for (const { name = "" } of await indexedDB.databases()) {
    const open = indexedDB.open(name);
    await new Promise((resolve) => (open.onsuccess = resolve));
    for (const store of open.result.objectStoreNames) {
      const all = open.result.transaction(store).objectStore(store).getAll();
      await new Promise((resolve) => (all.onsuccess = resolve));
      count += all.result.filter((value) => value instanceof Uint8Array && value[0] !== 226).length;
    }
    open.result.close();
  }
  return count;
}

/** Runs in the page: whether the log holds what was written last, and more than once. */
async function logged() {
  const open = indexedDB.open("tidewire:tests:1");
  await new Promise((resolve) => (open.onsuccess = resolve));
  const all = open.result.transaction("log").objectStore("log").getAll();
  await new Promise((resolve) => (all.onsuccess = resolve));
  open.result.close();
  return all.result.filter((bytes) => bytes.length > 60 && bytes[1] === 1).length > 1;
}

/** Runs in a page of the same origin: changes what lies in one of the object stores. */
async function change({ store, change: how, forged }) {
  const open = indexedDB.open("tidewire:tests:1");
  await new Promise((resolve) => (open.onsuccess = resolve));
  const transaction = open.result.transaction(store, "readwrite");
  const values = transaction.objectStore(store);
  const [keys, all] = [values.getAllKeys(), values.getAll()];
  await new Promise((resolve) => (all.onsuccess = resolve));
  const pairs = keys.result.map((key, i) => ({ key, bytes: all.result[i] })).filter(({ bytes }) => bytes.length > 60);
  const [first, second] = store === "log" ? pairs.filter(({ bytes }) => bytes[1] === 1).slice(-2) : pairs;
  if (how === "flip") {
    first.bytes[first.bytes.length - 20] ^= 1;
    values.put(first.bytes, first.key);
  } else if (how === "swap") {
    values.put(second.bytes, first.key);
    values.put(first.bytes, second.key);
  } else if (how === "graft") {
    const swapped = (one, other) => Uint8Array.of(...one.bytes.slice(0, 19), ...other.bytes.slice(19));
    values.put(swapped(first, second), first.key);
    values.put(swapped(second, first), second.key);
  } else {
    values.put(Uint8Array.from(forged), first.key);
  }
  await new Promise((resolve) => (transaction.oncomplete = resolve));
  open.result.close();
  return true;
}

/** Runs in the page: a whole record of an edit, as a store without `encrypt` has it. */
async function forge() {
  const db = window.tw.open({ name: "plain", url: undefined });
  await db.todos.insert({ title: "forged" });
  await db.close();
  const open = indexedDB.open("tidewire:plain:1");
  await new Promise((resolve) => (open.onsuccess = resolve));
  const log = open.result.transaction("log").objectStore("log").getAll();
  await new Promise((resolve) => (log.onsuccess = resolve));
  open.result.close();
  return [...log.result.find((record) => record[1] === 1)];
}
