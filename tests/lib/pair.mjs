/** Two people with a device each, who have seen the same entity and then write without seeing each other. */
import { until } from "./until.mjs";

/** A device knows the server's clock to half of its fastest round trip: edits closer than that may swap. */
export const CLEARLY_LATER_MS = 250;

/**
 * Ann has made an entity, Bob has seen it, and both have lost their lines.
 *
 * @param {any} world
 * @param {string} collection
 * @param {object} options of the collection
 * @param {object} value
 */
export async function apart(world, collection, options, value) {
  const open = (user) => world.device({ user, collections: { [collection]: options } });
  const [ann, bob] = await Promise.all(["ann", "bob"].map(open));
  const id = await ann.run(
    async (arg) => {
      const write = window.tw.db[arg.collection].insert(arg.value);
      await write;
      return write.id;
    },
    { collection, value },
  );
  const seen = async (arg) => (await window.tw.db[arg.collection].get(arg.id)) !== undefined;
  await bob.until("Bob sees it", seen, { collection, id });
  await Promise.all([ann.synced(), bob.synced()]);
  ann.offline();
  bob.offline();
  return { ann, bob, id };
}

/** Edits, and waits until the clock has moved so far, so that two edits have an order. */
export async function edit(device, collection, id, patch, laterMs = 2) {
  const now = await device.run(
    async (arg) => {
      await window.tw.db[arg.collection].update(arg.id, arg.patch);
      return Date.now();
    },
    { collection, id, patch },
  );
  await until("the clock has moved", () => Date.now() >= now + laterMs);
}

/** The lines come back one after the other: the first one's edits arrive first. */
export async function meet(first, second) {
  for (const device of [first, second]) {
    device.online();
    await device.synced();
  }
}
