/** Conflicts as the app sees them: what waits, what lost, what was decided, and what a function decides. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { CONFLICT_CONFIG, conflictJourney, decide, noneOpen, OFFER, openConflicts, shows } from "../lib/conflicts.mjs";
import { apart, CLEARLY_LATER_MS, edit, meet } from "../lib/pair.mjs";
import { scenario, useStack } from "../lib/stack.mjs";

const MANUAL = { conflict: "manual" };

describe("conflicts", () => {
  const stack = useStack({ config: CONFLICT_CONFIG });

  scenario(stack, "a value waits for its author, who decides offline and in another tab", conflictJourney);

  scenario(stack, "theirs is kept, taken back, and a merge of one's own is kept instead", async (world) => {
    const { ann, bob, id } = await waiting(world);
    await decide(ann, "theirs");
    await ann.until("theirs stands", shows, { id, price: 20, status: "synced" });
    await ann.run(async () => void (await window.tw.decision.undo()));
    await ann.until("it waits again", shows, { id, price: 11, status: "conflict" });
    await ann.synced();
    const [again] = await openConflicts(ann);
    assert.deepEqual([again.state, again.fields.length], ["open", 1]);

    await ann.run(async () => {
      const [conflict] = await window.tw.db.sync.conflicts.list.get();
      await conflict.keep({ ...window.tw.plain(conflict.theirs), price: 15 });
    });
    await bob.until("Bob sees the merge", shows, { id, price: 15, status: "synced" });
    assert.deepEqual(await openConflicts(ann), []);
  });

  scenario(stack, "whoever lost is told, whichever arrives first, and puts the value back", async (world) => {
    for (const laterFirst of [true, false]) {
      const { ann, bob, id } = await apart(world, "latest", { conflict: "last-write-wins" }, OFFER);
      await edit(ann, "latest", id, { title: "earlier" }, CLEARLY_LATER_MS);
      await edit(bob, "latest", id, { title: "later" });
      await (laterFirst ? meet(bob, ann) : meet(ann, bob));
      const lost = async (wanted) => {
        const history = await window.tw.db.latest.history(wanted).get();
        return history.some(({ state, fields }) => state === "lost" && fields[0].mine === "earlier");
      };
      await ann.until("Ann's value is in her history", lost, id);
      await ann.until("and she was told", () => window.tw.events.some(({ type }) => type === "conflict"));
      await ann.run(async (wanted) => {
        const [conflict] = await window.tw.db.latest.history(wanted).get();
        await conflict.restore();
      }, id);
      const restored = async (wanted) => (await window.tw.db.latest.get(wanted))?.title === "earlier";
      await bob.until("Bob sees what was put back", restored, id);
      await Promise.all([ann.close(), bob.close()]);
    }
  });

  scenario(stack, "a function decides, also when the row changes meanwhile, and does not loop", async (world) => {
    const { ann, bob, id } = await apart(world, "offers", { decide: "higher" }, OFFER);
    await edit(ann, "offers", id, { price: 11 });
    await edit(bob, "offers", id, { price: 20 });
    bob.online();
    await bob.synced();
    // While Ann's decision is on its way, Bob changes the field once more.
    let changed = false;
    ann.proxy.next("/push", 2, async (exchange) => {
      if (!changed) {
        changed = true;
        await edit(bob, "offers", id, { price: 7 });
        await bob.synced();
      }
      exchange.reply(await exchange.forward());
    });
    ann.online();
    await ann.until("nothing waits", noneOpen);
    await ann.synced();
    const stored = (await world.rows("offers")).get(id);
    await bob.until("both agree", shows, { id, price: stored.price, status: "synced" });
    await ann.until("Ann, too", shows, { id, price: stored.price, status: "synced" });
    const asked = await ann.run(() => window.tw.decided ?? 0);
    assert.ok(asked >= 1 && asked <= 5, `the function was asked ${asked} times`);
  });
});

/** A price of Ann's that waits. */
async function waiting(world) {
  const { ann, bob, id } = await apart(world, "offers", MANUAL, OFFER);
  await edit(ann, "offers", id, { price: 11 });
  await edit(bob, "offers", id, { price: 20 });
  await meet(bob, ann);
  await ann.until("hers waits", shows, { id, price: 11, status: "conflict" });
  return { ann, bob, id };
}
