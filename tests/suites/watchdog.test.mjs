/** The watchdog: each finding is an event with a stable code, a line in health, and is repaired by itself. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import * as faults from "../lib/faults.mjs";
import { scenario, useStack } from "../lib/stack.mjs";
import { deferred, until } from "../lib/until.mjs";

/** The watchdog's events of a tab, with this code. */
const findings = (tab, code) =>
  tab.run((wanted) => window.tw.events.filter((event) => event.type === "watchdog" && event.code === wanted), code);

const health = (tab) => tab.run(() => window.tw.db.sync.health.get());
const reasons = async (tab) => (await health(tab)).reasons.join("; ");
const repairs = async (tab) => (await health(tab)).repairs.map(({ code, collection }) => [code, collection]);
const insert = (tab, title) => tab.run(async (text) => void (await window.tw.db.todos.insert({ title: text })), title);

describe("the watchdog", () => {
  const stack = useStack();

  scenario(stack, "makes the connection anew where the oldest edit does not get through", async (world) => {
    const device = await world.device({ options: { timeoutMs: 3_000, health: { pendingMs: 6_000 } } });
    await device.synced();
    const pushes = device.proxy.next("/push", 1_000, faults.answer(503, "server-error"));
    await insert(device.first, "stands still");
    await until("it is tried by requests", () => pushes.met() > 0);
    await until("the channel that was cut for that is there again", () => device.proxy.seen("/live").length >= 2);
    const channels = device.proxy.seen("/live").length;

    const [event] = await until("it is found", async () => {
      const found = await findings(device.first, "stalled-queue");
      return found.length > 0 && found;
    });
    assert.ok(event.ageMs >= 6_000 && event.ageMs < 60_000, `${event.ageMs}`);
    assert.equal(event.message, "the oldest edit does not get through: the connection is made anew");
    assert.match(await reasons(device.first), /the oldest edit does not get through: the connection is made anew/);
    assert.equal((await health(device.first)).healthy, false);
    await until("the channel is another one", () => device.proxy.seen("/live").length > channels);
    const { state, pending } = await device.status();
    assert.deepEqual([state === "synced", pending], [false, 1]);

    pushes.stop();
    await device.synced();
    assert.equal((await world.rows("todos")).size, 1);
    assert.doesNotMatch(await reasons(device.first), /get through/);
    assert.deepEqual((await repairs(device.first))[0], ["stalled-queue", undefined]);
  });

  scenario(stack, "has another tab lead where the one that leads is frozen", async (world) => {
    const device = await world.device({ tabs: 2 });
    const leads = (tab) => tab.run(() => window.tw.db.sync.status.peek()?.leader === true);
    const leader = await until("one leads", async () => {
      for (const tab of device.tabs) if (await leads(tab)) return tab;
      return undefined;
    });
    const follower = device.tabs.find((tab) => tab !== leader);
    await follower.synced();
    const thaw = await leader.raw.freeze();
    await insert(follower, "while the leader is frozen");
    assert.deepEqual(await findings(follower, "stalled-leader"), []);
    const silent = /the tab that leads is silent: this one takes over/;
    await until("health says so", async () => silent.test(await reasons(follower)));
    const [event] = await until(
      "the other leads",
      async () => (await leads(follower)) && (await findings(follower, "stalled-leader")),
    );
    assert.ok(event.ageMs >= 20_000, `${event.ageMs}`);
    assert.equal(event.message, "the tab that leads is silent: this one takes over");
    await until("its edit is on the server", async () => (await world.rows("todos")).size === 1);
    await follower.synced();
    assert.doesNotMatch(await reasons(follower), silent);
    assert.deepEqual(await repairs(follower), [["stalled-leader", undefined]]);

    await thaw();
    await insert(leader, "by the one that was frozen");
    await until("all is on the server", async () => (await world.rows("todos")).size === 2);
    for (const tab of device.tabs) await tab.agrees("todos", await world.rows("todos"));
    assert.equal(await leads(follower), true);
  });

  scenario(stack, "reads a collection again that differs from the server's", async (world) => {
    const writer = await world.device();
    for (let count = 0; count < 5; count += 1) await insert(writer.first, `todo ${count}`);
    await writer.synced();
    let lost;
    const gate = deferred();
    const reader = await world.device({
      user: "bob",
      options: { verifyMs: 1_000 },
      line: (proxy) => {
        proxy.next("/pull", 1, faults.loseLines((row) => row.c === "todos" && (lost ??= row.id) === row.id));
        // What is read again takes its time.
        proxy.next("/pull", 1_000, async (exchange) => {
          if (JSON.parse(exchange.entry.body).reread?.length > 0) await gate.promise;
          exchange.reply(await exchange.forward());
        });
      },
    });
    await reader.until("its first rows", async () => (await window.tw.rows("todos")).length === 4);
    const again = /todos: this collection differs from the server's: it is read again/;
    await until("health says so", async () => again.test(await reasons(reader.first)));
    const [event, ...more] = await findings(reader.first, "diverged");
    assert.deepEqual([event.collection, more], ["todos", []]);
    assert.equal(event.message, "this collection differs from the server's: it is read again");
    assert.equal((await reader.status()).state, "syncing");
    gate.resolve();
    await reader.agrees("todos", await world.rows("todos"));
    await reader.synced();
    await until("health is good again", async () => !again.test(await reasons(reader.first)));
    assert.deepEqual(await repairs(reader.first), [["diverged", "todos"]]);
  });
});
