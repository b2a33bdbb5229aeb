/** The core journey, the same for every engine: write offline, reload, come back, and everybody agrees. */
import assert from "node:assert/strict";

import { canonical } from "./device.mjs";
import { until } from "./until.mjs";

export async function coreJourney(world) {
  const device = await world.device();
  const before = await seed(device);
  device.offline();
  const written = await editOffline(device, before);
  const expected = expectedRows(before, written);
  assert.equal(canonical(await device.rows("todos")), canonical(expected), "shown at once");

  await device.reload();
  await until(
    "the rows are there after a reload",
    async () => canonical(await device.rows("todos")) === canonical(expected),
  );
  const queue = await device.queue();
  const waiting = new Set(queue.pending.map((entry) => entry.id));
  assert.deepEqual([...waiting].sort(), [...written, before.changed, before.deleted].sort(), "all of it is pending");
  assert.deepEqual(queue.failed, []);
  const marks = await device.run(async (id) => (await window.tw.db.todos.get(id)).$sync.status, written[0]);
  assert.equal(marks, "pending");

  device.online();
  await device.synced();
  const stored = await world.rows("todos");
  assert.equal(canonical(plain(stored)), canonical(expected), "on the server");
  const order = [...written, before.changed].map((id) => stored.get(id).$rev);
  assert.deepEqual(
    order,
    [...order].sort((a, b) => a - b),
    "applied in the order in which they were made",
  );
  assert.equal(new Set(order).size, order.length, "each in a transaction of its own");

  const second = await world.device({ name: "second" });
  await second.agrees("todos", stored);
  await device.agrees("todos", stored);
  return { device, second, stored };
}

/** Rows of the server as a plain list. */
export function plain(stored) {
  return [...stored].map(([id, { $rev, ...doc }]) => ({ id, ...doc }));
}

async function seed(device) {
  const ids = await device.run(async () => {
    const { db } = window.tw;
    const writes = ["kept", "changed", "deleted"].map((title) => db.todos.insert({ title, done: false }));
    await Promise.all(writes);
    return writes.map((write) => write.id);
  });
  await device.synced();
  return { kept: ids[0], changed: ids[1], deleted: ids[2] };
}

/** Creates three, deletes one, updates one at last. */
function editOffline(device, { changed, deleted }) {
  return device.run(
    async (ids) => {
      const { db } = window.tw;
      const created = [];
      for (const title of ["milk", "bréad 🥖", "salt"]) {
        const write = db.todos.insert({ title, done: false, tags: [], amount: { value: 1.5, unit: null } });
        created.push(write.id);
        await write;
      }
      await db.todos.delete(ids.deleted);
      await db.todos.update(ids.changed, { title: "changed offline", "amount.unit": "l" });
      return created;
    },
    { changed, deleted },
  );
}

function expectedRows({ kept, changed }, written) {
  const titles = ["milk", "bréad 🥖", "salt"];
  return [
    { id: kept, title: "kept", done: false },
    { id: changed, title: "changed offline", done: false, amount: { unit: "l" } },
    ...written.map((id, i) => ({ id, title: titles[i], done: false, tags: [], amount: { value: 1.5, unit: null } })),
  ];
}
