/** Same, different, nested and overlapping fields, in every strategy and both orders of arrival. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { noneOpen, openConflicts } from "../lib/conflicts.mjs";
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
[collections.asked]
conflict = "manual"
[collections.decided]
conflict = "manual"
`;
const STRATEGIES = {
  latest: { conflict: "last-write-wins" },
  incoming: { conflict: "client-wins" },
  stored: { conflict: "server-wins" },
  merged: { conflict: "merge" },
  asked: { conflict: "manual" },
  // A function, by its name in the test page.
  decided: { decide: "bobs" },
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

/** Whose value stands: Bob's is later. What waits for its author is in nobody's way, and here it is given up. */
const winnerOf = (strategy, first) =>
  ({ "client-wins": otherThan(first), "server-wins": first, manual: first })[strategy] ?? "Bob";
const otherThan = (name) => (name === "Ann" ? "Bob" : "Ann");

describe("concurrent edits", () => {
  const stack = useStack({ config: CONFIG });

  for (const [collection, options] of Object.entries(STRATEGIES)) {
    const strategy = options.conflict ?? "a function";
    const outcome =
      strategy === "manual"
        ? "the second one's wait and are decided"
        : "each field comes out right, and the loser is told and puts it back";
    for (const first of ["Ann", "Bob"]) {
      scenario(stack, `by ${strategy}, ${first}'s first: ${outcome}`, async (world) => {
        const devices = await apart(world, collection, options);
        const second = otherThan(first);
        const [early, late] = [devices[first], devices[second]];
        await meet(early, late);
        if (strategy === "manual") {
          await waits(world, { early, late, collection, values: { yours: second, kept: first } });
          await late.run(giveUp);
          await late.synced();
        }
        await late.until("nothing waits", noneOpen);
        await late.synced();
        const winner = winnerOf(strategy, first);
        await comesTo(world, { devices, collection, winner });
        // Whoever comes second and loses is told with the push's answer.
        const isAutomatic = !["manual", "a function"].includes(strategy);
        const lost = Object.entries(LOST_PATHS).map(([id, path]) => ({ id, path, yours: second, kept: first }));
        if (isAutomatic) assert.deepEqual(await late.run(toldOf), winner === second ? [] : lost);
        // Who is overruled by a person's own function has been seen, and is told nothing.
        if (!isAutomatic && winner === second) return;
        const loser = otherThan(winner);
        const state = isAutomatic ? "lost" : "closed";
        const known = lost.map(({ id, path }) => ({ id, path, state, mine: loser, theirs: winner }));
        await until(`${loser}'s history`, async () =>
          assert.deepEqual(await devices[loser].run(historyOf, { collection, ids }), known) ?? true);
        await devices[loser].until("told", () => window.tw.events.some(({ type }) => type === "conflict"));
        await devices[loser].run(putBack, { collection, ids });
        await devices[loser].synced();
        await comesTo(world, { devices, collection, winner: loser });
      });
    }
  }
});

const ids = Object.keys(LOST_PATHS);

/** Ann and Bob have seen the same rows and lost their lines; each has edited all of them, Bob later. */
async function apart(world, collection, options) {
  const collections = { [collection]: options };
  const [Ann, Bob] = await Promise.all(["ann", "bob"].map((user) => world.device({ user, collections })));
  await Ann.run(insertAll, { collection, ids: Object.keys(EDITS), value: START });
  await Ann.synced();
  await Bob.until("bob has them", async (name) => (await window.tw.rows(name)).length === 4, collection);
  await Bob.synced();
  Ann.offline();
  Bob.offline();
  const parts = (index) => Object.entries(EDITS).map(([id, edits]) => [id, edits[index]]);
  const then = await Ann.run(editAll, { collection, edits: parts(0) });
  await until("the clock has moved", () => Date.now() >= then + CLEARLY_LATER_MS);
  await Bob.run(editAll, { collection, edits: parts(1) });
  return { Ann, Bob };
}

/** Everybody, the server included, has this one's values where the two met. */
async function comesTo(world, { devices, collection, winner }) {
  const stored = await world.rows(collection);
  for (const [id, [, , expected]] of Object.entries(EDITS)) {
    const { $rev, ...doc } = stored.get(id);
    assert.deepEqual(doc, expected(winner), id);
  }
  for (const device of Object.values(devices)) await device.agrees(collection, stored);
}

/** The second one's values wait on the device and on the server, while everything else goes on. */
async function waits(world, { early, late, collection, values: { yours, kept } }) {
  await until("both wait", async () => (await openConflicts(late)).length === 2);
  const fields = (await openConflicts(late)).map(({ id, fields: [{ path, mine, theirs }] }) => ({
    ...{ id, path, mine, theirs },
  }));
  const here = Object.entries(LOST_PATHS).map(([id, path]) => ({ id, path, mine: yours, theirs: kept }));
  assert.deepEqual(byId(fields), byId(here));
  const there = await world.server.rows("$conflicts", { user: yours.toLowerCase(), tenant: world.tenant });
  const open = [...there.values()].map(({ e: id, path, state, yours: mine }) => ({ id, path, state, mine }));
  assert.deepEqual(byId(open), byId(here.map(({ id, path, mine }) => ({ id, path, state: "open", mine }))));
  for (const device of [late, early]) {
    await device.run(editAll, { collection, edits: [["same", { note: "meanwhile" }]] });
    await device.synced();
    assert.equal((await world.rows(collection)).get("same").note, "meanwhile");
    await device.run(editAll, { collection, edits: [["same", { note: START.note }]] });
    await device.synced();
  }
  assert.equal((await world.rows(collection)).get("same").title, kept);
  assert.equal((await late.rows(collection)).find(({ id }) => id === "same").title, yours);
  assert.equal((await openConflicts(late)).length, 2);
}

const byId = (fields) => fields.toSorted((a, b) => (a.id > b.id ? -1 : 1));

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

/** Runs in the page: what waits here is decided for what stands. */
async function giveUp() {
  for (const conflict of await window.tw.db.sync.conflicts.list.get()) await conflict.keep("theirs");
}

/** Runs in the page: what lost of these rows, or was decided. */
async function historyOf({ collection, ids }) {
  const found = await Promise.all(ids.map((id) => window.tw.db[collection].history(id).get()));
  return found.flat().flatMap(({ id, state, fields }) =>
    fields.map(({ path, mine, theirs }) => ({ id, path, state, mine, theirs })),
  );
}

/** Runs in the page. */
async function putBack({ collection, ids }) {
  for (const id of ids) {
    const [conflict] = await window.tw.db[collection].history(id).get();
    await conflict.restore();
  }
}
