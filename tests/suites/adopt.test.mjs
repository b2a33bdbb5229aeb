/** What was written before anybody signed in becomes the user's: once, whole, and nobody else's. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { scenario, useStack } from "../lib/stack.mjs";

const ACCOUNTS = ["ann", "bob"];
/** Kinds of records, as `core/src/log/record.rs` numbers them. */
const CLAIM = 11;
const ADOPT = 12;

describe("edits made before signing in", () => {
  const stack = useStack();

  for (const [what, kind, nth] of /** @type {const} */ ([
    ["they are claimed", CLAIM, 1],
    ["they are adopted", ADOPT, 1],
    ["they are gone from nobody's store", CLAIM, 2],
  ])) {
    scenario(stack, `offline, with a page that dies when ${what}: each row is on the server once`, async (world) => {
      const device = await world.device({ accounts: ACCOUNTS });
      device.offline();
      await write(device, "ann");
      await device.run(diesAfter, { kind, nth });
      await device.run(() => void window.tw.db.signIn("ann").catch(() => undefined));
      await device.until("dead", () => window.dead);
      await device.reload();
      if (kind === CLAIM) assert.deepEqual(await device.rows("todos"), [], "claimed, it is nobody's any more");
      await signIn(device, "ann");
      assert.equal((await device.rows("todos")).length, 3);
      await device.reload();
      await signIn(device, "ann");
      device.online();
      await device.synced();
      await checkRows(world, device, ["ann"]);
      await signOut(device);
      assert.deepEqual(await device.rows("todos"), []);
      checkPushes(device);
    });
  }

  scenario(stack, "two accounts with edits of their own: who signs in first gets what was nobody's", async (world) => {
    const device = await world.device({ accounts: ACCOUNTS });
    device.offline();
    await signIn(device, "ann");
    await write(device, "ann");
    await signOut(device);
    await write(device, "bob");
    await signIn(device, "bob");
    await device.run(async () => void (await window.tw.db.todos.insert({ title: "bob", votes: 0 })));
    assert.equal((await device.rows("todos")).length, 4);
    await signIn(device, "ann");
    assert.equal((await device.rows("todos")).length, 3, "Bob's are his");
    device.online();
    await device.synced();
    await signIn(device, "bob");
    await device.synced();
    assert.equal((await world.rows("todos")).size, 7);
    await device.agrees("todos", await world.rows("todos"));
    checkPushes(device);
  });

  scenario(stack, "online: they are pushed as the user's, at once", async (world) => {
    const device = await world.device({ accounts: ACCOUNTS });
    await write(device, "bob");
    await signIn(device, "bob");
    await device.synced();
    await checkRows(world, device, ["bob"]);
    checkPushes(device);
  });

  scenario(stack, "three tabs write and sign in at once: nothing twice, nothing left", async (world) => {
    const device = await world.device({ accounts: ACCOUNTS, tabs: 3 });
    device.offline();
    await Promise.all(device.tabs.map((tab) => write(tab, "ann")));
    await Promise.all(device.tabs.map((tab) => signIn(tab, "ann")));
    for (const tab of device.tabs)
      await tab.until("all are here", async () => (await window.tw.rows("todos")).length === 9);
    device.online();
    await device.synced();
    await checkRows(world, device, ["ann", "ann", "ann"]);
    for (const tab of device.tabs) {
      await tab.agrees("todos", await world.rows("todos"));
      await signOut(tab);
      assert.deepEqual(await tab.rows("todos"), []);
    }
    checkPushes(device);
  });

  scenario(stack, "asked, they wait and are counted; given up, they are gone", async (world) => {
    const device = await world.device({ accounts: ACCOUNTS });
    await write(device, "ann");
    const ask = () => device.run(() => window.tw.db.signIn("ann", { adopt: "ask" }));
    assert.deepEqual(await ask(), { pending: 4 });
    assert.deepEqual(await device.rows("todos"), []);
    await device.reload();
    assert.equal((await device.rows("todos")).length, 3, "nobody has decided");
    assert.deepEqual(await ask(), { pending: 4 });
    await device.run(() => window.tw.db.signIn("ann", { adopt: "discard" }));
    assert.deepEqual(await ask(), { pending: 0 });
    await signOut(device);
    assert.deepEqual(await device.rows("todos"), []);
    assert.equal((await world.rows("todos")).size, 0);
  });

  scenario(stack, "a store in memory keeps them until they have moved", async (world) => {
    const device = await world.device({ accounts: ACCOUNTS, options: { storage: "memory" } });
    device.offline();
    await write(device, "ann");
    await signIn(device, "ann");
    assert.equal((await device.rows("todos")).length, 3);
    device.online();
    await device.synced();
    await checkRows(world, device, ["ann"]);
  });
});

/** From the end of the transaction that stores the nth record of a kind on, this page stores nothing any more. */
function diesAfter({ kind, nth }) {
  const put = IDBObjectStore.prototype.put;
  let seen = 0;
  IDBObjectStore.prototype.put = function (value, ...rest) {
    if (window.dead) throw new DOMException("this page is dead", "AbortError");
    if (this.name === "log" && value[1] === kind && (seen += 1) === nth)
      this.transaction.addEventListener("complete", () => (window.dead = true));
    return put.call(this, value, ...rest);
  };
}

/** Three rows, one of them edited: the increment shows what is carried out twice. */
function write(tab, title) {
  return tab.run(async (text) => {
    const { db, inc } = window.tw;
    const [{ id }] = [0, 1, 2].map(() => db.todos.insert({ title: text, votes: 1 }));
    await db.todos.update(id, { votes: inc(10) });
  }, title);
}

function signIn(tab, user) {
  return tab.run((name) => window.tw.db.signIn(name), user);
}

function signOut(tab) {
  return tab.run(() => window.tw.db.signOut());
}

async function checkRows(world, device, writers) {
  const stored = await world.rows("todos");
  const votes = [...stored.values()].map((row) => row.votes).sort((a, b) => a - b);
  const once = writers.map(() => 1);
  assert.deepEqual(votes, [...once, ...once, ...writers.map(() => 11)]);
  await device.agrees("todos", stored);
}

/** What was pushed carries its author's name as its title, and the token says who pushed it. */
function checkPushes(device) {
  const { tokens } = JSON.parse(decodeURIComponent(new URL(device.address).hash.slice(1)));
  const pushes = device.proxy.seen("/push");
  assert.ok(pushes.length > 0);
  for (const { bearer, body } of pushes) {
    const user = ACCOUNTS.find((name) => bearer === `Bearer ${tokens[name]}`);
    const titles = JSON.parse(body).mutations.map(({ m }) => m?.set?.["/title"] ?? user);
    assert.deepEqual(new Set(titles), new Set([user]));
  }
}
