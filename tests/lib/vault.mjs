/** What is on the disk, the same for every engine: with `encrypt` nothing that the app wrote, and without it all. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";

import { diskDevice } from "./disk.mjs";

const COLLECTIONS = { todos: {}, notes: {} };
/** Enough for the log to be made into segments. */
const ROWS = 1_500;

/** A passphrase as the settings of the test page have it. */
export const passphrase = (text) => ({ passphrase: [...text].reverse().join("") });

/** A text that stands nowhere by chance. */
const canary = () => randomBytes(36).toString("base64url");

/** Synced and unsent rows, sealed and unsealed, a forgotten collection, a restart of the browser, and an end. */
export async function diskJourney(world, engine) {
  const secret = canary();
  // Without it first: that what is looked for would be found.
  for (const encrypt of [undefined, passphrase(secret)]) {
    const device = await diskDevice(world, engine, { collections: COLLECTIONS, options: { encrypt } });
    const [id, field, synced, unsent, note] = Array.from({ length: 5 }, canary);
    const words = { id, field, synced, unsent, note };
    const all = Object.values(words);
    const expected = encrypt === undefined ? all : [];
    await device.tab();
    await write(device, words);
    assert.deepEqual(await device.finds(all), expected, "while the browser runs");
    await device.quit();
    assert.deepEqual(await device.finds(all), expected, "when it has ended");

    await device.tab();
    await readBack(device, words);
    await device.quit();
    device.declare({ todos: {} });
    device.online();
    await device.tab();
    await device.synced();
    await device.quit();
    assert.deepEqual((await device.finds(all)).includes(words.note), encrypt === undefined, "after a forget");

    await device.tab();
    await device.run(() => window.tw.db.erase());
    await device.quit();
    if (encrypt !== undefined) assert.deepEqual(await device.finds([...all, secret]), [], "after it was erased");
    await device.close();
  }
}

async function write(device, words) {
  await device.run(
    async ({ id, field, synced, note, rows }) => {
      const { db } = window.tw;
      await db.notes.insert({ text: note });
      await db.todos.insert({ id, [field]: synced });
      await db.todos.insertMany(Array.from({ length: rows }, (_, i) => ({ title: `todo ${i}` })));
    },
    { ...words, rows: ROWS },
  );
  await device.synced({ timeoutMs: 30_000 });
  await device.until("rows in segments", segments, undefined, { timeoutMs: 20_000 });
  device.offline();
  await device.run(async ({ field, unsent }) => void (await window.tw.db.todos.insert({ [field]: unsent })), words);
}

async function readBack(device, { id, field, synced, unsent, note }) {
  const rows = await device.rows("todos");
  assert.ok(rows.length >= ROWS + 2);
  assert.deepEqual(rows.filter((row) => field in row).map((row) => row[field]).sort(), [synced, unsent].sort());
  assert.equal(rows.find((row) => row.id === id)[field], synced);
  assert.ok((await device.rows("notes")).some((row) => row.text === note));
  assert.equal((await device.queue()).pending.length, 1);
}

/** Runs in the page: how many segments the first store of Tidewire has. */
export async function segments() {
  const names = (await indexedDB.databases()).map((one) => one.name ?? "");
  const open = indexedDB.open(names.find((name) => /^tidewire:.*:\d+$/.test(name)) ?? "");
  await new Promise((resolve) => (open.onsuccess = resolve));
  const count = open.result.transaction("segs").objectStore("segs").count();
  await new Promise((resolve) => (count.onsuccess = resolve));
  open.result.close();
  return count.result;
}
