/** A newer release of an app opens what the older one has queued: it arrives under the names of the newer. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { scenario, useStack } from "../lib/stack.mjs";
import { until } from "../lib/until.mjs";

/** `title` is `name` since version 2, `draft` is no more, and `done` is there. */
const TWO = {
  version: 2,
  migrations: {
    2: { todos: [{ rename: "title", to: "name" }, { remove: "draft" }, { default: "done", value: false }] },
  },
};

describe("a newer release of the app", () => {
  const stack = useStack();

  scenario(stack, "brings over what the older one has written offline, or says why it cannot", async (world) => {
    const device = await world.device();
    const known = await insert(device.first, { title: "known", draft: "x" });
    await device.synced();
    await hold(device);
    const made = await insert(device.first, { title: "made offline", draft: "y" });
    await device.run(async (id) => void (await window.tw.db.todos.update(id, { title: "changed offline" })), known);
    await device.run(async (id) => void (await window.tw.db.todos.update(id, { draft: "nowhere now" })), made);
    await device.first.close();
    device.tabs.splice(0);

    const tab = await device.tab({ address: release(device, TWO) });
    await tab.until("offline, it shows its own fields", async (id) => {
      const row = await window.tw.db.todos.get(id);
      return row?.name === "made offline" && row.done === false && row.title === undefined && row.draft === undefined;
    }, made);
    const failed = await until("one cannot be brought over", async () => {
      const queue = await tab.queue();
      return queue.failed.length > 0 && queue.failed;
    });
    assert.deepEqual(failed.map(({ error, set }) => [error.code, set]), [["migration", { "/draft": "nowhere now" }]]);
    device.online();
    await tab.synced();
    const stored = await world.rows("todos");
    assert.equal(stored.get(known).name, "changed offline");
    const { $rev, ...doc } = stored.get(made);
    assert.deepEqual(doc, { name: "made offline", done: false });
    assert.deepEqual((await tab.queue()).failed.length, 1, "nothing is lost");
    // The versions travel.
    const sent = device.proxy.seen("/push").map(({ body }) => JSON.parse(body));
    assert.deepEqual([...new Set(sent.map((push) => push.schema ?? 1))], [1, 2]);
    const ofTwo = sent.filter((push) => push.schema === 2).flatMap((push) => push.mutations);
    assert.ok(ofTwo.length > 0 && ofTwo.every((item) => item.m.schema === 2));
  });

  scenario(stack, "beside a tab of the older one: whoever leads, both reach the server", async (world) => {
    const device = await world.device();
    await device.synced();
    const old = device.first;
    const fresh = await device.tab({ address: release(device, TWO) });
    const [first, second] = [await insert(old, { title: "by the old" }), await insert(fresh, { name: "by the new" })];
    await device.drained();
    // The old one leads: what it wrote went up as it is, and what the new one wrote as that is.
    const before = await world.rows("todos");
    assert.equal(before.get(first).title, "by the old");
    assert.equal(before.get(second).name, "by the new");
    await hold(device);
    const third = await insert(old, { title: "by the old, offline" });
    await old.close();
    device.tabs.splice(0, 1);
    const again = await device.tab();
    const fourth = await insert(again, { title: "by the old again" });
    device.online();
    await fresh.run(() => window.tw.db.sync.resume());
    await fresh.synced();
    const after = await world.rows("todos");
    assert.equal(after.get(third).name, "by the old, offline");
    assert.equal(after.get(fourth).name, "by the old again");
    for (const tab of device.tabs) {
      await tab.agrees("todos", after);
      assert.deepEqual((await tab.queue()).failed, []);
    }
  });

  scenario(stack, "that is rolled back: the older one keeps and sends what the newer has queued", async (world) => {
    const device = await world.device();
    await device.synced();
    device.offline();
    const fresh = await device.tab({ address: release(device, TWO) });
    const made = await insert(fresh, { name: "by the newer", done: true });
    await Promise.all(device.tabs.splice(0).map((tab) => tab.close()));
    await device.tab();
    assert.equal((await device.queue()).pending.length, 1);
    device.online();
    await device.synced();
    const { $rev, ...doc } = (await world.rows("todos")).get(made);
    assert.deepEqual(doc, { name: "by the newer", done: true });
  });
});

/** From here on nothing leaves: what was tried to be sent stays as it was. */
async function hold(device) {
  await device.run(() => window.tw.db.sync.pause());
  device.offline();
}

/** The same page with other options. */
function release(device, options) {
  const { origin, hash } = new URL(device.address);
  const settings = JSON.parse(decodeURIComponent(hash.slice(1)));
  const changed = { ...settings, options: { ...settings.options, ...options } };
  return `${origin}/#${encodeURIComponent(JSON.stringify(changed))}`;
}

function insert(tab, doc) {
  return tab.run(async (value) => {
    const write = window.tw.db.todos.insert(value);
    await write;
    return write.id;
  }, doc);
}
