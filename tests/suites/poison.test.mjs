/** One bad mutation among many: it alone fails, visibly, and can be mended. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { scenario, useStack } from "../lib/stack.mjs";
import { until } from "../lib/until.mjs";

const CONFIG = `
[collections.payments]
types = { "/amount" = "number" }
`;

describe("one invalid mutation among 100", () => {
  const stack = useStack({ config: CONFIG });

  scenario(
    stack,
    "99 are applied, one is a dead letter with code and path, mended it goes under a new number",
    async (world) => {
      const device = await world.device({ collections: { payments: {} } });
      const { bad } = await pay(device);
      await until("one failed, none pending", async () => {
        const queue = await device.queue();
        return queue.pending.length === 0 && queue.failed.length === 1;
      });
      assert.equal((await world.rows("payments")).size, 99);
      const [letter] = (await device.queue()).failed;
      assert.equal(letter.id, bad);
      assert.equal(letter.error.code, "invalid");
      assert.equal(letter.error.path, "/amount");
      const row = await device.run(async (id) => (await window.tw.db.payments.get(id))?.$sync, bad);
      if (row) assert.equal(row.status, "failed");
      const events = await device.run(() => window.tw.events.filter((event) => event.type === "rejected").length);
      assert.equal(events, 1);

      await retryUnmended(world, device, letter);
      const [again] = (await device.queue()).failed;
      await device.run(async (n) => void (await window.tw.db.sync.queue.edit(n, { amount: 10 })), again.n);
      await device.drained();
      await until("no dead letter left", async () => (await device.queue()).failed.length === 0);
      const stored = await world.rows("payments");
      assert.equal(stored.size, 100);
      assert.equal(stored.get(bad).amount, 10);
      await device.agrees("payments", stored);
      const sent = numbersOf(device, bad);
      assert.equal(sent.length, 3, "sent three times, each under a number of its own");
      assert.equal(new Set(sent).size, 3);
    },
  );

  scenario(stack, "a dead letter outlives a reload and can be discarded", async (world) => {
    const device = await world.device({ collections: { payments: {} } });
    const { bad } = await pay(device);
    await until("one failed", async () => (await device.queue()).failed.length === 1);
    await device.reload();
    const [letter] = await until("still there", async () => {
      const { failed } = await device.queue();
      return failed.length === 1 && failed;
    });
    assert.deepEqual([letter.id, letter.error.code, letter.error.path], [bad, "invalid", "/amount"]);
    await device.run(async (n) => void (await window.tw.db.sync.queue.discard(n)), letter.n);
    await until("gone", async () => (await device.queue()).failed.length === 0);
    await device.agrees("payments", await world.rows("payments"));
  });
});

/** Writes 100 payments offline, the 50th with text for an amount, and comes back. */
async function pay(device) {
  await device.synced();
  device.offline();
  const ids = await device.run(async () => {
    const writes = Array.from({ length: 100 }, (_, i) =>
      window.tw.db.payments.insert({ amount: i === 49 ? "ten" : i, note: `payment ${i}` }),
    );
    await Promise.all(writes);
    return writes.map((write) => write.id);
  });
  device.online();
  return { ids, bad: ids[49] };
}

/** Tried again as it is, it is refused again, under a new number. */
async function retryUnmended(world, device, letter) {
  await device.run(async (n) => void (await window.tw.db.sync.queue.retry(n)), letter.n);
  await until("refused again under a new number", async () => {
    const { failed, pending } = await device.queue();
    return pending.length === 0 && failed.length === 1 && JSON.stringify(failed[0].n) !== JSON.stringify(letter.n);
  });
  assert.equal((await world.rows("payments")).size, 99);
}

/** The numbers under which mutations of an entity were pushed. */
function numbersOf(device, id) {
  const items = device.proxy.seen("/push").flatMap((entry) => JSON.parse(entry.body).mutations);
  return [...new Set(items.filter((item) => item.m?.id === id).map((item) => JSON.stringify(item.n)))];
}
