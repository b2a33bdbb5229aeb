/** Whose data it is: tokens that end, another user's token, a cloned profile, storage that goes away. */
import assert from "node:assert/strict";
import { cp, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe } from "node:test";

import { ChromiumTab, launchProfile } from "../lib/chromium.mjs";
import { Device } from "../lib/device.mjs";
import { startProxy } from "../lib/proxy.mjs";
import { roomJourney } from "../lib/room.mjs";
import { scenario, useStack } from "../lib/stack.mjs";
import { until } from "../lib/until.mjs";

/** Enough writes of each copy for their numbers to meet. */
const WRITES = 6;
/** What is said where the storage is full. */
const NO_ROOM = { code: "quota", message: "the storage is full: free some space" };

describe("a token", () => {
  const stack = useStack();

  scenario(stack, "that ends while the page is open is renewed, and live changes go on", async (world) => {
    const reader = await world.device({ user: "bob", tokenSeconds: 3 });
    await reader.synced();
    await reader.until("asked for another token", () => window.tw.asked.length > 1);
    const writer = await world.device();
    await insert(writer, "after the old token's end");
    await reader.until("the change arrives", async () => (await window.tw.rows("todos")).length === 1);
  });

  scenario(stack, "of another user does not push this user's queue", async (world) => {
    const device = await world.device();
    await device.synced();
    device.offline();
    await insert(device, "Ann's");
    const bobs = await world.server.token("bob", world.tenant);
    await device.run((token) => sessionStorage.setItem("token", token), bobs);
    await device.reload();
    device.online();
    await device.until("paused", () => window.tw.db.sync.status.peek().reason === "wrong-user");
    assert.equal((await world.rows("todos")).size, 0, "nothing was pushed as Bob");
    const owner = await world.server.token("ann", world.tenant);
    await device.run((token) => {
      window.tw.token = token;
      window.tw.db.sync.resume();
    }, owner);
    await device.synced();
    assert.equal((await world.rows("todos")).size, 1);
  });
});

describe("a cloned profile", () => {
  const stack = useStack();

  scenario(
    stack,
    "is noticed: both copies go on, nothing is lost and nothing is there twice",
    async (world) => {
      const directory = await mkdtemp(path.join(os.tmpdir(), "tidewire-original-"));
      const clone = `${directory}-clone`;
      const original = await profile(world, directory, "original");
      await original.tab();
      await insert(original, "before the copy");
      await original.synced();
      original.offline();
      await insert(original, "unsent at the copy");
      await original.quit();
      await cp(directory, clone, { recursive: true, filter: (name) => !path.basename(name).startsWith("Singleton") });
      const copy = await profile(world, clone, "copy");
      for (const device of [original, copy]) {
        device.offline();
        await device.tab();
        for (let i = 0; i < WRITES; i += 1) await insert(device, `${device.name} ${i}`);
        device.online();
        await device.synced();
      }
      const told = (device) => device.run(() => window.tw.events.filter(({ type }) => type === "watchdog"));
      const message = "this profile was copied: the copy goes on under its own name, nothing was lost";
      const forked = { type: "watchdog", code: "forked", message };
      assert.deepEqual((await told(original)).concat(await told(copy)), [forked], "the one that came second is told");
      for (const device of [original, copy]) await insert(device, `${device.name} afterwards`);
      for (const device of [original, copy]) await device.synced();
      const stored = [...(await world.rows("todos")).values()].map((row) => row.title);
      const numbers = Array.from({ length: WRITES }, (_, i) => i);
      const made = ["original", "copy"].flatMap((name) => [...numbers, "afterwards"].map((what) => `${name} ${what}`));
      const expected = [...made, "before the copy", "unsent at the copy"];
      assert.deepEqual(stored.toSorted(), expected.toSorted(), "every write is on the server, once");
      for (const device of [original, copy]) await device.agrees("todos", await world.rows("todos"));
    },
  );
});

describe("the device's storage", () => {
  const stack = useStack();

  scenario(
    stack,
    "that is full refuses the write with a code, keeps it, and takes it when there is room",
    async (world) => {
      const device = await world.device({ tabs: 0 });
      // Chromium remembers for a while how much room it found, so the limit stands before the first write.
      const cdp = await device.context.newCDPSession(await device.context.newPage());
      const origin = `${new URL(device.address).origin}/`;
      await cdp.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 1_500_000 });
      await device.tab();
      await insert(device, "while there was room");
      const outcome = await device.run(writeNoiseUntilRefused);
      assert.equal(outcome.code, "quota");
      const { healthy, reasons } = await device.run(() => window.tw.db.sync.health.get());
      assert.deepEqual([healthy, reasons], [false, ["1 write was rejected: see db.sync.queue.failed"]]);
      assert.equal((await device.rows("todos")).length, outcome.stored + 1, "what was refused is not shown");
      assert.ok(await device.run(() => window.tw.events.some((event) => event.type === "quota")));
      const [kept, ...others] = (await device.queue()).failed;
      assert.deepEqual([kept.error, kept.set["/title"], others], [NO_ROOM, `noise ${outcome.stored}`, []]);
      assert.equal((await device.status()).failed, 1);
      await cdp.send("Storage.overrideQuotaForOrigin", { origin });
      await insert(device, "room again");
      await device.run((n) => window.tw.db.sync.queue.retry(n), kept.n);
      await device.synced();
      const stored = await world.rows("todos");
      assert.equal(stored.size, outcome.stored + 3);
      assert.equal(stored.get(kept.id).title, `noise ${outcome.stored}`);
      assert.deepEqual((await device.queue()).failed, []);
      await device.agrees("todos", stored);
    },
  );

  scenario(
    stack,
    "that is full while the server's data comes pauses syncing with a reason, until there is room",
    async (world) => {
      const writer = await world.device();
      await writer.run(writeNoise, 16);
      await writer.synced();
      const device = await world.device({ user: "bob", tabs: 0 });
      const cdp = await device.context.newCDPSession(await device.context.newPage());
      const origin = `${new URL(device.address).origin}/`;
      await cdp.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 1_000_000 });
      await device.tab();
      await device.until("paused for want of room", () => window.tw.states.includes("paused:quota"));
      const says = (message) => window.tw.db.sync.status.peek().error?.message === message;
      await device.until("it says why", says, NO_ROOM.message);
      assert.ok(await device.run(() => window.tw.events.some((event) => event.type === "quota")));
      await cdp.send("Storage.overrideQuotaForOrigin", { origin });
      await device.synced();
      await device.agrees("todos", await world.rows("todos"));
    },
  );

  scenario(stack, "is to be kept: the browser is asked once, after a write, and health says so", async (world) => {
    const asked = (tab) => tab.run(() => globalThis.askedToKeep);
    const spy = () => {
      globalThis.askedToKeep = 0;
      let kept = false;
      StorageManager.prototype.persist = async () => ((globalThis.askedToKeep += 1), (kept = true));
      StorageManager.prototype.persisted = async () => kept;
    };
    for (const [persist, times] of [[undefined, 1], [false, 0]]) {
      const device = await world.device({ tabs: 0, options: { persist } });
      const tab = await device.tab({ script: spy });
      await tab.until("it is open", () => window.tw.states.length > 0);
      assert.equal(await asked(tab), 0);
      await insert(device, "first");
      await insert(device, "second");
      await tab.until(`asked ${times} times`, (wanted) => globalThis.askedToKeep === wanted, times);
      const said = async (wanted) => {
        const { persisted, usage, quota } = await window.tw.db.sync.health.get();
        return persisted === wanted && usage > 0 && quota > usage;
      };
      await tab.until("health says so", said, times === 1);
    }
  });

  scenario(stack, "says in health what room there is", roomJourney);

  scenario(
    stack,
    "that is wiped while the page is open loses nothing: the rows come back and writing goes on",
    async (world) => {
      const device = await world.device();
      await insert(device, "on the server");
      await device.synced();
      await wipe(device);
      await until("a write is taken again", async () => {
        await insert(device, "after the wipe");
        return true;
      });
      await device.synced();
      const stored = await world.rows("todos");
      assert.ok([...stored.values()].some((row) => row.title === "after the wipe"));
      await device.agrees("todos", stored);
      await device.reload();
      await device.synced();
      await device.agrees("todos", stored);
    },
  );

  scenario(stack, "that is wiped is written again at once, also if nothing is done any more", async (world) => {
    const device = await world.device();
    await device.synced();
    device.offline();
    await insert(device, "not sent yet");
    const [tab] = device.tabs;
    await wipe(device);
    await tab.until("the app is told", () => window.tw.events.some(({ code }) => code === "storage-wiped"));
    const events = await tab.run(() => window.tw.events.filter(({ type }) => type !== "progress"));
    assert.deepEqual(events, [{ type: "storage", storage: "indexeddb", code: "storage-wiped" }]);
    const isStored = async () => {
      const { pending } = await window.tw.queue();
      return pending.length === 1 && pending.every(({ status }) => status !== "writing");
    };
    await tab.until("what was not sent is stored again", isStored);
    await device.reload();
    await tab.until("a fresh page finds it", isStored);
    device.online();
    await device.synced();
    const stored = await world.rows("todos");
    assert.deepEqual([...stored.values()].map(({ title }) => title), ["not sent yet"]);
  });
});

/** Clears the site's storage as a browser does, under the open page. */
async function wipe(device) {
  const cdp = await device.context.newCDPSession(device.first.raw.page);
  const origin = new URL(device.address).origin;
  await cdp.send("Storage.clearDataForOrigin", { origin, storageTypes: "indexeddb" });
}

/** Runs in the page: text that no compression makes small. */
async function writeNoise(times) {
  for (let i = 0; i < times; i += 1) {
    const noise = Array.from({ length: 100_000 }, () => String.fromCharCode(33 + Math.random() * 90)).join("");
    await window.tw.db.todos.insert({ title: `noise ${i}`, noise });
  }
}

/** Runs in the page: the same, until the storage is full. */
async function writeNoiseUntilRefused() {
  for (let stored = 0; stored < 100; stored += 1) {
    const noise = Array.from({ length: 100_000 }, () => String.fromCharCode(33 + Math.random() * 90)).join("");
    try {
      await window.tw.db.todos.insert({ title: `noise ${stored}`, noise });
    } catch (error) {
      return { stored, code: error.code };
    }
  }
  return { code: "never refused" };
}

function insert(device, title) {
  return device.run(async (text) => void (await window.tw.db.todos.insert({ title: text })), title);
}

/** A device whose profile is a directory; `quit` ends its browser. */
async function profile(world, directory, name) {
  const proxy = await startProxy(() => world.server.port);
  const token = await world.server.token("ann", world.tenant);
  const address = Device.address(world.page, { proxy, token, collections: { todos: {} } });
  let context;
  const newTab = async () => {
    context = await launchProfile(directory);
    return new ChromiumTab(await context.newPage());
  };
  const quit = async () => {
    await context?.close();
    context = undefined;
    device.tabs.splice(0);
  };
  const close = async () => {
    await quit();
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  };
  const device = Object.assign(new Device({ name, proxy, address, newTab, close }), { quit });
  return world.owns(device);
}
