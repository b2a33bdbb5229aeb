/** The live channel and the pull: what happens when they break, and what others see meanwhile. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import * as faults from "../lib/faults.mjs";
import { scenario, useStack } from "../lib/stack.mjs";

describe("live changes", () => {
  const stack = useStack();

  scenario(stack, "reach another device within a second", async (world) => {
    const writer = await world.device();
    const reader = await world.device({ user: "bob" });
    await Promise.all([writer.synced(), reader.synced()]);
    await insert(writer, "warm");
    await reader.until("warm", async () => (await window.tw.rows("todos")).length === 1);
    const started = performance.now();
    await insert(writer, "seen at once");
    await reader.until("seen", async () => (await window.tw.rows("todos")).length === 2, undefined, { everyMs: 5 });
    const took = performance.now() - started;
    assert.ok(took < 1_000, `${Math.round(took)} ms`);
  });

  scenario(stack, "go on after the server was killed and started again", async (world) => {
    const writer = await world.device();
    const reader = await world.device({ user: "bob" });
    await Promise.all([writer.synced(), reader.synced()]);
    await world.server.kill();
    await insert(writer, "while the server was down");
    await world.server.start();
    await reader.until("it arrives", async () => (await window.tw.rows("todos")).length === 1);
    await Promise.all([writer.synced(), reader.synced()]);
  });

  scenario(stack, "show a transaction whole or not at all", async (world) => {
    const writer = await world.device();
    const reader = await world.device({ user: "bob" });
    const ids = await writer.run(async () => {
      const { db } = window.tw;
      const writes = ["a", "b"].map((title) => db.todos.insert({ title, money: 100 }));
      await Promise.all(writes);
      return writes.map((write) => write.id);
    });
    await reader.until("both accounts", async () => (await window.tw.rows("todos")).length === 2);
    await reader.run(async () => {
      window.tw.sums = [];
      const live = window.tw.db.todos.where({});
      live.subscribe((rows) => window.tw.sums.push(rows.reduce((sum, row) => sum + row.money, 0)), { flush: "sync" });
    });
    await writer.run(async ([from, to]) => {
      const { db, inc } = window.tw;
      for (let i = 0; i < 30; i += 1) {
        await db.transaction((tx) => {
          tx.todos.update(from, { money: inc(-1) });
          tx.todos.update(to, { money: inc(1) });
        });
      }
    }, ids);
    await writer.synced();
    await reader.agrees("todos", await world.rows("todos"));
    assert.equal((await world.rows("todos")).get(ids[1]).money, 130);
    const sums = await reader.run(() => window.tw.sums);
    assert.deepEqual([...new Set(sums)], [200], "the sum never changes");
  });
});

describe("a pull", () => {
  const stack = useStack();

  scenario(stack, "that breaks off half-way is gone on with, and ends with everything", async (world) => {
    const writer = await world.device();
    await writer.run(async () => {
      const rows = Array.from({ length: 1_600 }, (_, i) => ({ title: `todo ${i}`, text: "x".repeat(300) }));
      await window.tw.db.todos.insertMany(rows);
    });
    await writer.synced();
    let rule;
    const line = (proxy) => {
      rule = proxy.next("/pull", 1, faults.loseHalfAnswer);
      rule = proxy.next("/pull", 2, faults.stall);
    };
    const reader = await world.device({ user: "bob", line, options: { timeoutMs: 1_500 } });
    await reader.until("complete", () => window.tw.loads.todos?.at(-1) === "complete");
    assert.equal(rule.met(), 2);
    await reader.agrees("todos", await world.rows("todos"));
    const cursors = reader.proxy.seen("/pull").map((entry) => JSON.parse(entry.body).cursor?.seq ?? 0);
    assert.ok(cursors.at(-1) > 0, `later pulls start where the earlier ones broke off: ${cursors}`);
  });

  scenario(stack, "answered by a page (captive portal) or by errors leaves what is shown as it is", async (world) => {
    const writer = await world.device();
    const reader = await world.device({ user: "bob" });
    await insert(writer, "known");
    await reader.until("known", async () => (await window.tw.rows("todos")).length === 1);
    reader.offline();
    await insert(writer, "new");
    await writer.synced();
    reader.proxy.next("/pull", 2, faults.portal);
    reader.proxy.next("/pull", 2, faults.answer(503, "server-error"));
    reader.online();
    await reader.agrees("todos", await world.rows("todos"));
    const resets = await reader.run(() => window.tw.events.filter((event) => event.type === "reset"));
    assert.deepEqual(resets, []);
  });
});

describe("a transaction with one invalid member", () => {
  const stack = useStack({ config: `[collections.todos]\ntypes = { "/money" = "number" }\n` });

  scenario(stack, "is refused whole, and each member says why", async (world) => {
    const device = await world.device();
    await device.synced();
    await device.run(async () => {
      await window.tw.db.transaction((tx) => {
        tx.todos.insert({ title: "good", money: 1 });
        tx.todos.insert({ title: "bad", money: "one" });
      });
      await window.tw.db.todos.insert({ title: "on its own", money: 2 });
    });
    await device.drained();
    assert.deepEqual(
      [...(await world.rows("todos")).values()].map((row) => row.title),
      ["on its own"],
    );
    const { failed } = await device.queue();
    assert.deepEqual(failed.map((letter) => letter.error.code).sort(), ["invalid", "transaction-failed"]);
  });
});

function insert(device, title) {
  return device.run(async (text) => void (await window.tw.db.todos.insert({ title: text })), title);
}
