/** The wasm module traps: a fresh instance goes on from the log, and nothing that was durable is lost. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { scenario, useStack } from "../lib/stack.mjs";
import { armTrap } from "../lib/trap.mjs";

/** Whether the fault took place, and what the app was told. */
function outcome() {
  return { trapped: window.tw.trapped === true, codes: window.tw.events.map((event) => event.code) };
}

const titles = async (device) => (await device.rows("todos")).map((row) => row.title).sort();

describe("a trap of the module", () => {
  const stack = useStack();

  for (const [where, provoke] of [
    ["in a call of the app", async () => void (await window.tw.db.todos.insert({ title: "at the trap" }))],
    [
      "in a task of its own",
      async () => {
        dispatchEvent(new Event("online"));
        await window.tw.db.todos.insert({ title: "at the trap" });
      },
    ],
  ]) {
    scenario(stack, `${where} costs nothing that was durable, and writes go on`, async (world) => {
      const device = await world.device();
      device.offline();
      await device.run(async () => void (await window.tw.db.todos.insert({ title: "before" })));
      await device.run(armTrap);
      await device.run(provoke);
      assert.deepEqual(await device.run(outcome), { trapped: true, codes: ["internal"] });
      await device.run(async () => void (await window.tw.db.todos.insert({ title: "after" })));
      assert.deepEqual(await titles(device), ["after", "at the trap", "before"]);

      // The instance that was lost holds neither the lock nor a socket: this one leads and syncs.
      device.online();
      await device.synced();
      assert.equal((await device.status()).leader, true);
      await device.reload();
      assert.deepEqual(await titles(device), ["after", "at the trap", "before"]);
      assert.deepEqual([...(await world.rows("todos")).values()].map((row) => row.title).sort(), [
        "after",
        "at the trap",
        "before",
      ]);
    });
  }
});
