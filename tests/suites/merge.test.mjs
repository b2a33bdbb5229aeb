/** Two people edit the same entity without seeing each other. The server's settings decide. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { apart, CLEARLY_LATER_MS, edit, meet } from "../lib/pair.mjs";
import { scenario, useStack } from "../lib/stack.mjs";

const CONFIG = `
[collections.latest]
conflict = "last-write-wins"

[collections.incoming]
conflict = "client-wins"

[collections.stored]
conflict = "server-wins"

[collections.merged]
conflict = "merge"
fields = { "/votes" = "counter" }
`;
const COLLECTIONS = {
  latest: { conflict: "last-write-wins" },
  incoming: { conflict: "client-wins" },
  stored: { conflict: "server-wins" },
  merged: { conflict: "merge", fields: { votes: "counter" } },
};
const START = { title: "old", note: "old", votes: 5, tags: ["a"], address: { city: "Bergen", street: "Old road" } };

describe("concurrent edits of different fields", () => {
  const stack = useStack({ config: CONFIG });

  for (const collection of Object.keys(COLLECTIONS)) {
    scenario(stack, `merge without a conflict in ${collection}`, async (world) => {
      const { ann, bob, id } = await seeded(world, collection);
      await edit(ann, collection, id, { title: "Ann's" });
      await edit(bob, collection, id, { "address.city": "Oslo" });
      await meet(ann, bob);
      const row = await agreed(world, ann, bob, collection, id);
      assert.deepEqual(row, { ...START, title: "Ann's", address: { city: "Oslo", street: "Old road" } });
      assert.deepEqual([await conflicts(ann), await conflicts(bob)], [[], []]);
    });
  }
});

describe("concurrent edits of the same field", () => {
  const stack = useStack({ config: CONFIG });

  scenario(stack, "last-write-wins keeps the later edit, whichever arrives first", async (world) => {
    for (const laterFirst of [true, false]) {
      const { ann, bob, id } = await seeded(world, "latest");
      await edit(ann, "latest", id, { title: "earlier" }, CLEARLY_LATER_MS);
      await edit(bob, "latest", id, { title: "later" });
      await (laterFirst ? meet(bob, ann) : meet(ann, bob));
      assert.equal((await agreed(world, ann, bob, "latest", id)).title, "later");
      if (laterFirst) await toldOf(ann, { yours: "earlier", kept: "later" });
    }
  });

  scenario(stack, "client-wins keeps what arrives last", async (world) => {
    const { ann, bob, id } = await seeded(world, "incoming");
    await edit(ann, "incoming", id, { title: "arrives last" });
    await edit(bob, "incoming", id, { title: "arrives first" });
    await meet(bob, ann);
    assert.equal((await agreed(world, ann, bob, "incoming", id)).title, "arrives last");
  });

  scenario(stack, "server-wins keeps what arrived first, and tells the other", async (world) => {
    const { ann, bob, id } = await seeded(world, "stored");
    await edit(bob, "stored", id, { title: "arrives first" });
    await edit(ann, "stored", id, { title: "arrives last" });
    await meet(bob, ann);
    assert.equal((await agreed(world, ann, bob, "stored", id)).title, "arrives first");
    await toldOf(ann, { yours: "arrives last", kept: "arrives first" });
  });

  scenario(stack, "merge adds up counters, joins added items, and merges objects by path", async (world) => {
    const { ann, bob, id } = await seeded(world, "merged");
    await edit(ann, "merged", id, { votes: 6, "address.city": "Oslo" });
    await edit(bob, "merged", id, { votes: 8, "address.street": "New road" });
    await addTag(ann, id, "ann");
    await addTag(bob, id, "bob");
    await meet(ann, bob);
    const row = await agreed(world, ann, bob, "merged", id);
    assert.equal(row.votes, 9);
    assert.deepEqual([...row.tags].sort(), ["a", "ann", "bob"]);
    assert.deepEqual(row.address, { city: "Oslo", street: "New road" });
  });
});

describe("one's own edits", () => {
  const stack = useStack({ config: CONFIG });

  for (const collection of Object.keys(COLLECTIONS)) {
    scenario(
      stack,
      `the same field edited three times offline is no conflict with oneself in ${collection}`,
      async (world) => {
        const { ann, bob, id } = await seeded(world, collection);
        for (const title of ["one", "two", "three"]) await edit(ann, collection, id, { title });
        await ann.run(editInTransactions, { collection, id, titles: ["four", "five"] });
        await meet(ann, bob);
        assert.equal((await agreed(world, ann, bob, collection, id)).title, "five");
        assert.deepEqual(await conflicts(ann), []);
        const verdicts = await ann.run(() => window.tw.events.filter((event) => event.type === "rejected"));
        assert.deepEqual(verdicts, []);
      },
    );
  }

  scenario(stack, "an edit made while the one before it is under way wins over it", async (world) => {
    const { ann, bob, id } = await seeded(world, "stored");
    ann.proxy.next("/push", 1, async (exchange) => {
      const answer = await exchange.forward();
      await edit(ann, "stored", id, { title: "second" });
      exchange.reply(answer);
    });
    await edit(ann, "stored", id, { title: "first" });
    await meet(ann, bob);
    assert.equal((await agreed(world, ann, bob, "stored", id)).title, "second");
    assert.deepEqual(await conflicts(ann), []);
  });
});

function seeded(world, collection) {
  return apart(world, collection, COLLECTIONS[collection], START);
}

/** Runs in the page. */
async function editInTransactions({ collection, id, titles }) {
  for (const title of titles) await window.tw.db.transaction((tx) => void tx[collection].update(id, { title }));
}

function addTag(device, id, tag) {
  return device.run(async (arg) => void (await window.tw.db.merged.update(arg.id, { tags: window.tw.add(arg.tag) })), {
    id,
    tag,
  });
}

async function agreed(world, ann, bob, collection, id) {
  const stored = await world.rows(collection);
  await ann.agrees(collection, stored);
  await bob.agrees(collection, stored);
  const { $rev, ...doc } = stored.get(id);
  return doc;
}

function conflicts(device) {
  return device.run(() => JSON.parse(JSON.stringify(window.tw.events.filter((event) => event.type === "conflict"))));
}

/** The author whose value lost hears of it: which field, what was lost, what stands. */
async function toldOf(device, { yours, kept }) {
  await device.until("a conflict event", () => window.tw.events.some((event) => event.type === "conflict"));
  const [event] = await conflicts(device);
  const [lost] = event.overwritten;
  assert.deepEqual({ path: lost.path, yours: lost.yours, kept: lost.kept }, { path: "/title", yours, kept });
}
