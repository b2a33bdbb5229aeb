/** What a device keeps: fields that never leave it, in a real browser against the real server. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { scenario, useStack } from "../lib/stack.mjs";
import { until } from "../lib/until.mjs";

describe("local fields", () => {
  const stack = useStack();
  const LOCAL = { todos: { local: ["note", "ui.open"] } };

  scenario(stack, "never leave, and stay through changes, reload and other tabs", async (world) => {
    const device = await world.device({ collections: LOCAL });
    const other = await world.device({ name: "other" });
    await device.run(async () => {
      const { db } = window.tw;
      const w = db.todos.insert({ id: "t1", title: "Milk", note: "canary one", ui: { open: "canary two", tab: 1 } });
      await w.server();
      await db.todos.update("t1", { note: "canary three" });
      await db.todos.update("t1", { title: "Bread", "ui.open": "canary four" });
      await db.todos.update("t1", (todo) => void (todo.ui = { open: "canary five", tab: 2 }));
      await db.todos.insertMany(Array.from({ length: 200 }, (_, n) => ({ title: `${n}`, note: `canary ${n}` })));
      const gone = await db.todos.insert({ id: "t2", title: "Gone", note: "canary six" });
      await db.todos.delete("t2");
      return gone;
    });
    await device.synced();
    const rows = await world.rows("todos");
    assert.equal(rows.size, 201);
    await other.agrees("todos", rows);
    await other.run(() => window.tw.db.todos.update("t1", { title: "Butter" }));
    await device.until("the other's change", () => window.tw.db.todos.peek("t1")?.title === "Butter");
    const expected = { title: "Butter", note: "canary three", ui: { open: "canary five", tab: 2 } };
    const shown = () => {
      const { title, note, ui } = window.tw.db.todos.peek("t1") ?? {};
      return { title, note, ui };
    };
    assert.deepEqual(await device.run(shown), expected);
    const found = () => window.tw.db.todos.where({ note: { startsWith: "canary" } }).count().get();
    assert.equal(await device.run(found), 201);
    await device.reload();
    await device.run(() => window.tw.db.todos.get("t1"));
    assert.deepEqual(await device.run(shown), expected);
    const second = await device.tab();
    await second.run(() => window.tw.db.todos.update("t1", { note: "canary seven" }));
    await until("the first tab has it", () =>
      device.run(() => window.tw.db.todos.peek("t1")?.note === "canary seven"),
    );
    await device.synced();
    // Whatever left the device is in the log of its line; whatever the server keeps comes with a first pull.
    for (const { body } of device.proxy.log) assert.ok(!body.includes("canary"), body.slice(0, 500));
    assert.ok(!JSON.stringify([...(await world.rows("todos"))]).includes("canary"));
    assert.ok(!(await world.server.holds("canary")), "no file of the server has it");
    await other.run(() => window.tw.db.todos.delete("t1"));
    await device.until("the delete", () => window.tw.db.todos.peek("t1") === undefined);
    await other.run(() => window.tw.db.todos.insert({ id: "t1", title: "Another" }));
    await device.until("the other one", () => window.tw.db.todos.peek("t1")?.title === "Another");
    assert.equal(await device.run(() => window.tw.db.todos.peek("t1").note), undefined);
  });
});
