/** Writing without a network, and the first sync. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { coreJourney } from "../lib/journey.mjs";
import { scenario, useStack } from "../lib/stack.mjs";

describe("offline", () => {
  const stack = useStack();

  scenario(
    stack,
    "what was written offline outlives a reload, syncs in order, and a second device agrees",
    coreJourney,
  );

  scenario(stack, "a write resolves offline; only its server verdict waits", async (world) => {
    const device = await world.device({ line: (proxy) => proxy.refuse() });
    const outcome = await device.run(async () => {
      const { db } = window.tw;
      const write = db.todos.insert({ title: "here" });
      const shownAtOnce = db.todos.peek(write.id)?.title;
      await write;
      const code = await write.server({ timeoutMs: 10_000 }).then(
        () => "answered",
        (error) => error.code,
      );
      return { shownAtOnce, code };
    });
    assert.equal(outcome.code, "offline");
    assert.ok(
      [undefined, "here"].includes(outcome.shownAtOnce),
      "peek may not know before WASM is loaded, but is not wrong",
    );
    device.online();
    await device.synced();
    assert.equal((await world.rows("todos")).size, 1);
  });

  scenario(stack, "the browser's own offline switch is heeded, and its end is noticed", async (world) => {
    const device = await world.device();
    await device.synced();
    await device.context.setOffline(true);
    device.proxy.refuse();
    await device.run(async () => void (await window.tw.db.todos.insert({ title: "on a plane" })));
    await device.until("status is offline", () => window.tw.db.sync.status.peek().state === "offline");
    device.online();
    await device.context.setOffline(false);
    await device.synced();
    assert.deepEqual(
      [...(await world.rows("todos")).values()].map((row) => row.title),
      ["on a plane"],
    );
  });

  scenario(
    stack,
    "connections that stand while nothing moves are given up, and sync goes on when they heal",
    async (world) => {
      const device = await world.device({ options: { timeoutMs: 700 } });
      await device.synced();
      device.proxy.blackhole();
      await device.run(async () => void (await window.tw.db.todos.insert({ title: "into the hole" })));
      await device.until(
        "a push timed out and was tried again",
        () => window.tw.db.sync.status.peek().state !== "synced",
      );
      device.online();
      await device.synced();
      assert.equal((await world.rows("todos")).size, 1);
    },
  );
});

describe("a first sync of nothing", () => {
  const stack = useStack();

  scenario(
    stack,
    "is not complete while the line is down, complete after it, and still complete after a reload offline",
    async (world) => {
      const device = await world.device({ line: (proxy) => proxy.refuse() });
      await device.until("the store is open", () => window.tw.loads.todos?.at(-1) === "partial");
      assert.equal((await loads(device))[0], "loading");
      device.online();
      await device.until("complete", () => window.tw.loads.todos.at(-1) === "complete");
      assert.deepEqual(await device.rows("todos"), []);
      device.offline();
      await device.reload();
      await device.until("still complete", () => window.tw.loads.todos?.at(-1) === "complete");
    },
  );

  scenario(stack, "shows what was written meanwhile, and says that this is not all yet", async (world) => {
    const device = await world.device({ line: (proxy) => proxy.refuse() });
    await device.run(async () => void (await window.tw.db.todos.insert({ title: "mine" })));
    await device.until("partial", () => window.tw.loads.todos?.at(-1) === "partial");
    device.online();
    await device.until("complete", () => window.tw.loads.todos.at(-1) === "complete");
  });
});

function loads(device) {
  return device.run(() => window.tw.loads.todos);
}
