/** Several people on one device: each has a store and a queue, and nobody's queue goes up as somebody else's. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { scenario, useStack } from "../lib/stack.mjs";

const ACCOUNTS = ["ann", "bob"];

describe("two accounts on one profile", () => {
  const stack = useStack();

  scenario(stack, "written offline: each queue waits for its user, and goes up with their token", async (world) => {
    const device = await world.device({ accounts: ACCOUNTS });
    device.offline();
    for (const user of ACCOUNTS) {
      await signIn(device, user);
      assert.deepEqual(await device.rows("todos"), [], "nothing of anybody else's");
      await insert(device, user);
    }
    device.online();
    await device.synced();
    assert.deepEqual(titles(await world.rows("todos")), ["bob"], "Ann's waits while Bob is signed in");

    device.offline();
    await device.reload();
    await signIn(device, "ann");
    assert.deepEqual(
      (await device.queue()).pending.map((entry) => entry.set["/title"]),
      ["ann"],
    );
    device.online();
    await device.synced();
    assert.deepEqual(titles(await world.rows("todos")), ACCOUNTS);
    await device.agrees("todos", await world.rows("todos"));
    checkPushes(device);
  });

  scenario(stack, "online, switching between pushes: every edit goes up once, as its author", async (world) => {
    const device = await world.device({ accounts: ACCOUNTS });
    for (let round = 0; round < 4; round += 1) {
      for (const user of ACCOUNTS) {
        await signIn(device, user);
        await insert(device, user);
      }
    }
    for (const user of ACCOUNTS) {
      await signIn(device, user);
      await device.synced();
    }
    assert.deepEqual(titles(await world.rows("todos")), [...Array(4).fill("ann"), ...Array(4).fill("bob")]);
    await device.agrees("todos", await world.rows("todos"));
    checkPushes(device);
  });

  scenario(stack, "signing out pauses, shows nobody's rows, and can send or wipe what is there", async (world) => {
    const device = await world.device({ accounts: ACCOUNTS });
    await signIn(device, "ann");
    await insert(device, "ann");
    await device.run(() => window.tw.db.signOut({ pending: "send" }));
    assert.deepEqual(titles(await world.rows("todos")), ["ann"], "sent before");
    assert.deepEqual(await device.rows("todos"), []);
    await device.until("paused", () => window.tw.db.sync.status.peek()?.reason === "auth");

    device.offline();
    await signIn(device, "ann");
    await insert(device, "given up");
    const refused = await device.run(() =>
      window.tw.db.signOut({ pending: "send", timeoutMs: 500 }).catch((error) => error.code),
    );
    assert.match(refused, /^(offline|timeout)$/);
    await device.run(() => window.tw.db.signOut({ pending: "discard", wipe: true }));
    await signIn(device, "ann");
    assert.deepEqual(await device.rows("todos"), [], "the store is gone");
    device.online();
    await device.synced();
    assert.deepEqual(titles(await world.rows("todos")), ["ann"]);
  });

  scenario(stack, "a token of somebody else pauses the store that is not theirs, and pushes nothing", async (world) => {
    const device = await world.device({ accounts: ACCOUNTS });
    await signIn(device, "ann");
    await device.synced();
    await device.run(() => void (window.tw.settings.tokens.ann = window.tw.settings.tokens.bob));
    device.offline();
    await signIn(device, "bob");
    await signIn(device, "ann");
    await insert(device, "ann");
    device.online();
    await device.until("paused", () => window.tw.db.sync.status.peek()?.reason === "wrong-user");
    assert.deepEqual(titles(await world.rows("todos")), []);
  });
});

function signIn(device, user) {
  return device.run((name) => window.tw.db.signIn(name), user);
}

function insert(device, title) {
  return device.run(async (text) => void (await window.tw.db.todos.insert({ title: text })), title);
}

function titles(stored) {
  return [...stored.values()].map((row) => row.title).sort();
}

/** What was pushed carries its author's name as its title, and the token that it came with says who pushed it. */
function checkPushes(device) {
  const { tokens } = JSON.parse(decodeURIComponent(new URL(device.address).hash.slice(1)));
  const pushes = device.proxy.seen("/push");
  assert.ok(pushes.length >= ACCOUNTS.length);
  for (const { bearer, body } of pushes) {
    const user = ACCOUNTS.find((name) => bearer === `Bearer ${tokens[name]}`);
    const authors = JSON.parse(body).mutations.map(({ m }) => m.set["/title"]);
    assert.deepEqual(new Set(authors), new Set([user]));
  }
}
