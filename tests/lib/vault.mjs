/** What is on the disk, the same for every engine: with `encrypt` nothing that the app wrote, and without it all. */
import assert from "node:assert/strict";

import { diskDevice } from "./disk.mjs";
import { canary, fill, ROWS } from "./fill.mjs";
import { sensitiveJourney } from "./sensitive.mjs";
import { scenario } from "./stack.mjs";

const COLLECTIONS = { todos: {}, notes: {} };

/** A passphrase as the settings of the test page have it. */
export const passphrase = (text) => ({ passphrase: [...text].reverse().join("") });

/** What is looked for must be found where nothing keeps it off the disk: so each journey is made twice. */
export function diskScenarios(stack, engine) {
  const timing = { timeoutMs: 300_000 };
  for (const isSet of [false, true]) {
    const found = isSet ? "nothing of it" : "all of it, if that is not asked for";
    const secret = canary();
    const encrypt = isSet ? passphrase(secret) : undefined;
    const encrypted = `an encrypted store is searched: ${found} is on ${engine}'s disk`;
    scenario(stack, encrypted, (world) => diskJourney(world, engine, { encrypt, secret }), timing);
    const hidden = `sensitive fields are searched: ${found} is on ${engine}'s disk`;
    scenario(stack, hidden, (world) => sensitiveJourney(world, engine, isSet), timing);
  }
}

/** Synced and unsent rows, sealed and unsealed, a forgotten collection, a restart of the browser, and an end. */
async function diskJourney(world, engine, { encrypt, secret }) {
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

  // From now on without the notes, so they are forgotten.
  device.declare({ todos: {} });
  await device.tab();
  await readBack(device, words);
  device.online();
  await device.synced();
  assert.equal((await device.finds(all)).includes(note), encrypt === undefined, "after a forget");

  await device.run(() => window.tw.db.erase());
  await device.quit();
  if (encrypt !== undefined) assert.deepEqual(await device.finds([...all, secret]), [], "after it was erased");
}

async function write(device, words) {
  await device.run(async ({ id, field, synced, note }) => {
    const { db } = window.tw;
    await db.notes.insert({ text: note });
    await db.todos.insert({ id, [field]: synced });
  }, words);
  await fill(device, "todos");
  device.offline();
  await device.run(async ({ field, unsent }) => void (await window.tw.db.todos.insert({ [field]: unsent })), words);
}

async function readBack(device, { id, field, synced, unsent }) {
  const rows = await device.rows("todos");
  assert.ok(rows.length >= ROWS + 2);
  assert.deepEqual(rows.filter((row) => field in row).map((row) => row[field]).sort(), [synced, unsent].sort());
  assert.equal(rows.find((row) => row.id === id)[field], synced);
  assert.equal((await device.queue()).pending.length, 1);
}
