/** A server that comes back from a backup, and a device that was away past the horizon: nothing is lost. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { scenario, useStack } from "../lib/stack.mjs";
import { until } from "../lib/until.mjs";

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
    await Promise.all([ann.synced(), bob.synced()]);
    const stored = await world.rows("todos");
    assert.equal(stored.get(id).votes, 7, "each increment counts once");
    const titles = [...stored.values()].map((row) => row.title).toSorted();
    assert.deepEqual(titles, ["Bob's, after the backup", "after the backup", "counted", "unsent"]);
    await ann.agrees("todos", stored);
    await bob.agrees("todos", stored);
    for (const device of [ann, bob]) {
      assert.deepEqual((await device.queue()).failed, []);
      const told = await device.run(() => window.tw.events.filter(({ type }) => type !== "progress"));
      assert.deepEqual(told, [{ type: "reset" }]);
      const { state, pending, failed } = await device.status();
      assert.deepEqual([state, pending, failed], ["synced", 0, 0]);
    }
  });
});

describe("a server that remembers deletions for a second", () => {
  const stack = useStack({ config: "[server]\nhorizon_seconds = 1\n" });

  scenario(stack, "a device that was away longer reads anew, misses no deletion and keeps its queue", async (world) => {
    const ann = await world.device();
    const bob = await world.device({ user: "bob" });
    const kept = await insert(ann, { title: "kept", votes: 0 });
    const gone = await insert(ann, { title: "gone" });
    await ann.synced();
    await bob.until("bob has both", async () => (await window.tw.rows("todos")).length === 2);
    await vote(bob, kept, 2);
    await bob.synced();
    bob.offline();
    const { seq } = await statusOf(world);
    await ann.run(async (id) => void (await window.tw.db.todos.delete(id)), gone);
    await insert(ann, { title: "new" });
    await ann.synced();
    await vote(bob, kept, 5);
    await insert(bob, { title: "written far away" });
    await until("what Bob has seen is past the horizon", async () => (await statusOf(world)).horizon > seq);
    assert.deepEqual(titlesOf(await bob.rows("todos")), ["gone", "kept", "written far away"]);

    bob.online();
    await bob.until("the reset", () => window.tw.events.some(({ type }) => type === "reset"));
    await bob.synced();
    const stored = await world.rows("todos");
    assert.deepEqual(titlesOf(stored.values()), ["kept", "new", "written far away"]);
    assert.equal(stored.get(kept).votes, 7, "what was acknowledged before counts once, what was not is sent");
    await bob.agrees("todos", stored);
    await ann.agrees("todos", stored);
    assert.deepEqual(await bob.queue(), { pending: [], failed: [] });
    const resets = await bob.run(() => window.tw.events.filter(({ type }) => type === "reset").length);
    await bob.reload();
    await bob.synced();
    await bob.agrees("todos", stored);
    assert.equal(resets, 1);
  });
});

async function statusOf(world) {
  const authorization = `Bearer ${await world.server.token("reader", world.tenant)}`;
  const answer = await fetch(`${world.server.url}/api/sync/status`, { headers: { authorization } });
  assert.equal(answer.status, 200);
  return answer.json();
}

const titlesOf = (rows) => [...rows].map((row) => row.title).toSorted();

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
