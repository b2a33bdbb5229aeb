/** Conflicts that wait for their author, the same for every engine: two people, the author with two tabs. */
import assert from "node:assert/strict";

import { apart, edit, meet } from "./pair.mjs";

export const CONFLICT_CONFIG = `
[collections.offers]
conflict = "manual"

[collections.latest]
conflict = "last-write-wins"
`;
export const OFFER = { title: "old", note: "old", price: 5 };

/** A value waits while everything else goes on; its author decides offline, and a reload and another tab know it. */
export async function conflictJourney(world) {
  const { ann, bob, id } = await apart(world, "offers", { conflict: "manual" }, OFFER);
  const tab = await ann.tab();
  await edit(ann, "offers", id, { price: 11, note: "Ann's" });
  await edit(bob, "offers", id, { price: 20 });
  await meet(bob, ann);

  const stored = (await world.rows("offers")).get(id);
  assert.deepEqual([stored.price, stored.note], [20, "Ann's"], "the price waits, the note went on");
  for (const one of [ann.first, tab]) {
    await one.until("both tabs of Ann show hers", shows, { id, price: 11, status: "conflict" });
    const [conflict] = await openConflicts(one);
    assert.deepEqual(conflict.fields, [{ path: "/price", base: 5, mine: 11, theirs: 20 }]);
  }
  await bob.until("Bob sees his own, and nothing to decide", shows, { id, price: 20, status: "synced" });
  assert.deepEqual(await openConflicts(bob), []);

  ann.offline();
  await decide(tab, "mine");
  await ann.first.until("decided in the other tab too", noneOpen);
  await ann.reload();
  await ann.until("decided after a reload, too", noneOpen);
  assert.equal((await world.rows("offers")).get(id).price, 20, "the server has not heard of it");
  ann.online();
  await ann.synced();
  await bob.until("Bob sees the decision", shows, { id, price: 11, status: "synced" });
  assert.deepEqual(await openConflicts(ann), []);
}

/** What waits here, as plain data. */
export function openConflicts(device) {
  return device.run(async () =>
    (await window.tw.db.sync.conflicts.list.get()).map(({ collection, id, state, fields }) => ({
      ...{ collection, id, state },
      fields: fields.map(({ path, base, mine, theirs }) => ({ path, base, mine, theirs })),
    })),
  );
}

/** Decides about the one conflict that waits. */
export function decide(device, choice) {
  return device.run(async (wanted) => {
    const [conflict] = await window.tw.db.sync.conflicts.list.get();
    window.tw.decision = conflict.keep(wanted);
    await window.tw.decision;
  }, choice);
}

/** Runs in the page. */
export async function noneOpen() {
  return (await window.tw.db.sync.conflicts.list.get()).length === 0;
}

/** Runs in the page. */
export async function shows({ id, price, status }) {
  const row = await window.tw.db.offers.get(id);
  return row?.price === price && row.$sync.status === status;
}
