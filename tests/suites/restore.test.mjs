/** A server that comes back from a backup, and a device that was away past the horizon: nothing is lost. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { scenario, useStack } from "../lib/stack.mjs";

describe("a server restored from a backup", () => {
  const stack = useStack();

  scenario(stack, "gets back all that it had acknowledged since, once, and devices agree again", async (world) => {
    const ann = await world.device();
    const bob = await world.device({ user: "bob" });
    const id = await insert(ann, { title: "counted", votes: 0 });
    await ann.synced();
    await bob.until("bob sees it", async (wanted) => Boolean(await window.tw.db.todos.get(wanted)), id);
    const backup = await world.server.backup();
    await Promise.all([ann.synced(), bob.synced()]);

    await vote(ann, id, 3);
    await vote(bob, id, 4);
    await insert(ann, { title: "after the backup" });
    await insert(bob, { title: "Bob's, after the backup" });
    const gone = await insert(ann, { title: "made and deleted" });
    await ann.run(async (wanted) => void (await window.tw.db.todos.delete(wanted)), gone);
    await Promise.all([ann.synced(), bob.synced()]);
    bob.offline();
    await insert(bob, { title: "unsent" });

    await world.server.restore(backup);
    const before = [...(await world.rows("todos")).values()].map((row) => row.votes);
    assert.deepEqual(before, [0], "the backup is what there is");
    bob.online();
    await Promise.all([ann.synced({ timeoutMs: 30_000 }), bob.synced({ timeoutMs: 30_000 })]);
    const stored = await world.rows("todos");
    assert.equal(stored.get(id).votes, 7, "each increment counts once");
    const titles = [...stored.values()].map((row) => row.title).toSorted();
    assert.deepEqual(titles, ["Bob's, after the backup", "after the backup", "counted", "unsent"]);
    await ann.agrees("todos", stored, { timeoutMs: 20_000 });
    await bob.agrees("todos", stored, { timeoutMs: 20_000 });
    for (const device of [ann, bob]) assert.deepEqual((await device.queue()).failed, []);
  });
});

describe("a device whose cursor the server knows no more", () => {
  const stack = useStack();

  scenario(stack, "reads everything again, misses no deletion and keeps its queue", async (world) => {
    const ann = await world.device();
    const bob = await world.device({ user: "bob" });
    const kept = await insert(ann, { title: "kept", votes: 0 });
    const gone = await insert(ann, { title: "gone" });
    await ann.synced();
    await bob.until("bob has both", async () => (await window.tw.rows("todos")).length === 2);
    await bob.synced();
    bob.offline();
    await ann.run(async (id) => void (await window.tw.db.todos.delete(id)), gone);
    await insert(ann, { title: "new" });
    await ann.synced();
    await vote(bob, kept, 5);
    await insert(bob, { title: "written far away" });
    const rule = bob.proxy.next("/pull", 1, (exchange) => pullWithUnknownMark(world, exchange));
    bob.online();
    await bob.until("the reset", () => window.tw.events.some(({ type }) => type === "reset"));
    assert.equal(rule.met(), 1);
    await bob.synced({ timeoutMs: 20_000 });
    const stored = await world.rows("todos");
    const titles = [...stored.values()].map((row) => row.title).toSorted();
    assert.deepEqual(titles, ["kept", "new", "written far away"]);
    assert.equal(stored.get(kept).votes, 5);
    await bob.agrees("todos", stored);
    await ann.agrees("todos", stored);
  });
});

/** As after 30 days: the mark that the cursor names is pruned, so the server does not know it. */
async function pullWithUnknownMark(world, exchange) {
  const body = exchange.entry.body.replace(/"mark":"[^"]*"/, '"mark":"0000000000000000"');
  const headers = { authorization: exchange.entry.bearer, "content-type": "application/json" };
  const answer = await fetch(`${world.server.url}/api/sync/pull`, { method: "POST", headers, body });
  exchange.reply({
    status: answer.status,
    headers: { "content-type": answer.headers.get("content-type") ?? "" },
    body: Buffer.from(await answer.arrayBuffer()),
  });
}

function insert(device, value) {
  return device.run(async (fields) => {
    const write = window.tw.db.todos.insert(fields);
    await write;
    return write.id;
  }, value);
}

function vote(device, id, by) {
  return device.run(
    async (arg) => void (await window.tw.db.todos.update(arg.id, { votes: window.tw.inc(arg.by) })),
    { id, by },
  );
}
