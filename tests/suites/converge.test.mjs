/** Two browsers of one user edit at random while their lines come and go; afterwards everybody agrees. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { scenario, useStack } from "../lib/stack.mjs";

const SECONDS = process.env.TIDEWIRE_LONG ? 120 : 4;
const SEED = Number(process.env.TIDEWIRE_SEED ?? Math.floor(Math.random() * 2 ** 31));

const CONFIG = `
[collections.todos]
conflict = "merge"
fields = { "/votes" = "counter" }
`;

describe("two browsers of one user", () => {
  const stack = useStack({ config: CONFIG });

  scenario(
    stack,
    `converge on random edits (seed ${SEED}), and every increment counts once`,
    async (world) => {
      const collections = { todos: { conflict: "merge", fields: { votes: "counter" } } };
      const one = await world.device({ name: "one", collections });
      const two = await world.device({ name: "two", collections });
      const id = await one.run(async () => {
        const write = window.tw.db.todos.insert({ title: "counted", votes: 0 });
        await write;
        return write.id;
      });
      await two.until("both see it", async (wanted) => Boolean(await window.tw.db.todos.get(wanted)), id);

      const random = generator(SEED);
      const work = [one, two].map((device, i) => device.run(editAtRandom, { id, seed: SEED + i, seconds: SECONDS }));
      const done = Promise.all(work);
      let over = false;
      void done.finally(() => (over = true)).catch(() => undefined);
      while (!over) await shake([one, two][random(2)], random);
      const increments = (await done).reduce((sum, each) => sum + each.increments, 0);

      for (const device of [one, two]) device.online();
      await Promise.all([one.drained(), two.drained()]);
      const stored = await world.rows("todos");
      await one.agrees("todos", stored);
      await two.agrees("todos", stored);
      assert.equal(stored.get(id).votes, increments, "every increment counts once");
      for (const device of [one, two]) assert.deepEqual((await device.queue()).failed.filter(isBad), []);
    },
    { timeoutMs: 180_000 + SECONDS * 1_000 },
  );
});

/** An edit of an entity that the other deleted may fail so; nothing else may. */
function isBad(letter) {
  return !["deleted", "not-found", "transaction-failed"].includes(letter.error.code);
}

/** A line breaks for a moment, or heals. */
async function shake(device, random) {
  if (device.proxy.mode === "open" && random(3) > 0) device.offline();
  else device.online();
  await new Promise((resolve) => setTimeout(resolve, 50 + random(250)));
}

/** Whole numbers below a bound, the same for the same seed. */
function generator(seed) {
  let state = seed >>> 0;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

/** Runs in the page: edits some entities in every way, and counts its increments of the shared one. */
async function editAtRandom({ id, seed, seconds }) {
  let state = seed >>> 0;
  const random = (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
  const { db, inc } = window.tw;
  const until = performance.now() + seconds * 1_000;
  let increments = 0;
  const edits = [
    async () => {
      await db.todos.update(id, { votes: inc(1) });
      increments += 1;
    },
    (row) => db.todos.update(row.id, { title: `title ${random(1_000)}` }),
    (row) => db.todos.update(row.id, { [`nested.${"abc"[random(3)]}`]: random(1_000) }),
    (row) => row.id === id || db.todos.delete(row.id),
    () => db.todos.insert({ title: `new ${random(1_000)}`, votes: 0, nested: {} }),
    (row) => db.transaction((tx) => void [tx.todos.update(row.id, { both: 1 }), tx.todos.update(id, { both: 1 })]),
  ];
  while (performance.now() < until) {
    const rows = await db.todos.where({}).get();
    const row = rows[random(rows.length)];
    try {
      await edits[random(edits.length)](row);
    } catch (error) {
      if (error.code !== "not-found") throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, random(20)));
  }
  return { increments };
}
