/** Same, different, nested and overlapping fields, in every strategy and both orders of arrival. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { CLEARLY_LATER_MS, meet } from "../lib/pair.mjs";
import { scenario, useStack } from "../lib/stack.mjs";
import { until } from "../lib/until.mjs";

const CONFIG = `
[collections.latest]
conflict = "last-write-wins"
[collections.incoming]
conflict = "client-wins"
[collections.stored]
conflict = "server-wins"
[collections.merged]
conflict = "merge"
`;
const STRATEGIES = {
  latest: "last-write-wins",
  incoming: "client-wins",
  stored: "server-wins",
  merged: "merge",
};
const START = { title: "old", note: "old", address: { city: "Bergen", street: "Old road" } };

/**
 * What Ann writes, what Bob writes later, and what stands where the winner's name is told.
 *
 * @type {Record<string, [object, object, (winner: string) => object]>}
 */
const EDITS = {
  same: [{ title: "Ann" }, { title: "Bob" }, (winner) => ({ ...START, title: winner })],
  different: [{ title: "Ann" }, { note: "Bob" }, () => ({ ...START, title: "Ann", note: "Bob" })],
  nested: [
    { "address.city": "Ann" },
    { "address.street": "Bob" },
    () => ({ ...START, address: { city: "Ann", street: "Bob" } }),
  ],
  overlapping: [
    { address: { city: "Ann", zip: "1" } },
    { "address.city": "Bob" },
    (winner) => ({ ...START, address: { city: winner, zip: "1" } }),
  ],
};
const LOST_PATHS = { same: "/title", overlapping: "/address/city" };

/** Whose value stands: Bob's is later. */
const winnerOf = (strategy, first) =>
  ({ "client-wins": first === "Ann" ? "Bob" : "Ann", "server-wins": first })[strategy] ?? "Bob";

describe("concurrent edits", () => {
  const stack = useStack({ config: CONFIG });

  for (const [collection, strategy] of Object.entries(STRATEGIES)) {
    for (const first of ["Ann", "Bob"]) {
      const what = `by ${strategy}, ${first}'s first: each field comes out right and the loser is told`;
      scenario(stack, what, async (world) => {
        const collections = { [collection]: { conflict: strategy } };
        const [ann, bob] = await Promise.all(["ann", "bob"].map((user) => world.device({ user, collections })));
        await ann.run(insertAll, { collection, ids: Object.keys(EDITS), value: START });
        await ann.synced();
        await bob.until("bob has them", async (name) => (await window.tw.rows(name)).length === 4, collection);
        await bob.synced();
        ann.offline();
        bob.offline();
        const parts = (index) => Object.entries(EDITS).map(([id, edits]) => [id, edits[index]]);
        const then = await ann.run(editAll, { collection, edits: parts(0) });
        await until("the clock has moved", () => Date.now() >= then + CLEARLY_LATER_MS);
        await bob.run(editAll, { collection, edits: parts(1) });
        const [early, late] = first === "Ann" ? [ann, bob] : [bob, ann];
        await meet(early, late);
        const winner = winnerOf(strategy, first);
        const stored = await world.rows(collection);
        for (const [id, [, , expected]] of Object.entries(EDITS)) {
          const { $rev, ...doc } = stored.get(id);
          assert.deepEqual(doc, expected(winner), id);
        }
        for (const device of [ann, bob]) await device.agrees(collection, stored);
        // Whoever comes second and loses is told with the push's answer.
        const second = first === "Ann" ? "Bob" : "Ann";
        const told = await late.run(toldOf);
        const lost = Object.entries(LOST_PATHS).map(([id, path]) => ({ id, path, yours: second, kept: first }));
        assert.deepEqual(told, winner === second ? [] : lost);
      });
    }
  }
});

/** Runs in the page. */
async function insertAll({ collection, ids, value }) {
  await window.tw.db[collection].insertMany(ids.map((id) => ({ id, ...value })));
}

/** Runs in the page; returns when it is done by this device's clock. */
async function editAll({ collection, edits }) {
  for (const [id, patch] of edits) await window.tw.db[collection].update(id, patch);
  return Date.now();
}

/** Runs in the page: the values of this device that lost, in the order of their ids. */
function toldOf() {
  const events = window.tw.events.filter(({ type }) => type === "conflict");
  const lost = events.flatMap(({ id, overwritten }) =>
    overwritten.map(({ path, yours, kept }) => ({ id, path, yours, kept })),
  );
  return lost.sort((a, b) => (a.id > b.id ? -1 : 1));
}
