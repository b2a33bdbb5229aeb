/** What travels between a device and the server, in Chromium: compressed, and counted. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { scenario, useStack } from "../lib/stack.mjs";
import { until } from "../lib/until.mjs";
import { WIRE_CONFIG, wireJourney } from "../lib/wire.mjs";

const insertMany = async () => {
  const { db } = window.tw;
  const text = "as long as it takes to be worth it ".repeat(10);
  await Promise.all(Array.from({ length: 100 }, () => db.todos.insert({ title: text })));
};

describe("a server that compresses", () => {
  const stack = useStack({ config: WIRE_CONFIG });

  scenario(stack, "Chromium sends and gets compressed bodies, and counts their bytes", wireJourney);

  scenario(stack, "a browser without CompressionStream sends plain bodies", async (world) => {
    const device = await world.device();
    await device.synced();
    await device.run(() => Reflect.deleteProperty(globalThis, "CompressionStream"));
    await device.run(insertMany);
    await device.synced();
    const large = device.proxy.seen("push").filter(({ body }) => body.length > 8 * 1024);
    assert.ok(large.length > 0 && large.every(({ encoding }) => encoding === undefined));
  });

  scenario(stack, "a server that reads no compressed pushes any more gets plain ones", async (world) => {
    const device = await world.device();
    await device.synced();
    const old = device.proxy.next("push", 1, (exchange) => {
      assert.equal(exchange.entry.encoding, "gzip");
      const body = JSON.stringify({ code: "bad-message", message: "send the body without a content-encoding" });
      return exchange.reply({ status: 400, headers: { "content-type": "application/json" }, body });
    });
    await device.run(insertMany);
    await until("the first was refused", async () => old.met() === 1);
    await device.synced();
    const [, again] = device.proxy.seen("push");
    assert.equal(again.encoding, undefined);
    assert.equal((await world.rows("todos")).size, 100);
  });
});

describe("a server and a page on one machine", () => {
  const stack = useStack();

  scenario(stack, "do not compress what travels nowhere", async (world) => {
    const device = await world.device();
    await device.run(insertMany);
    await device.synced();
    const second = await world.device({ name: "second" });
    await second.agrees("todos", await world.rows("todos"));
    const entries = [device, second].flatMap(({ proxy }) => proxy.log);
    assert.ok(entries.some(({ body = "" }) => body.length > 8 * 1024) && entries.some(({ down }) => down > 8 * 1024));
    for (const { encoding, answered } of entries) assert.deepEqual([encoding, answered], [undefined, undefined]);
  });

  scenario(stack, "tell of the changed field of a long document, and of nothing else", async (world) => {
    const device = await world.device();
    const id = await device.run(async () => {
      const write = window.tw.db.todos.insert({ title: "long", note: "as long as it takes ".repeat(500) });
      await write.server({ timeoutMs: 60_000 });
      return write.id;
    });
    const reader = await world.device({ name: "reader" });
    await reader.until("the row", (key) => window.tw.db.todos.peek(key) !== undefined, id);
    await reader.synced();
    const down = () => reader.run(() => window.tw.db.sync.metrics.get().then(({ bytesDown }) => bytesDown));
    const before = await down();
    for (const title of ["shorter", "shorter still"]) {
      const change = ([key, text]) => window.tw.db.todos.update(key, { title: text }).server({ timeoutMs: 60_000 });
      await device.run(change, [id, title]);
      await reader.until(title, ([key, text]) => window.tw.db.todos.peek(key).title === text, [id, title]);
    }
    const bytes = (await down()) - before;
    assert.ok(bytes > 0 && bytes < 5_000, `${bytes} bytes for two changes of a title`);
    await reader.agrees("todos", await world.rows("todos"));
  });
});
