/** Two tabs on one database: one leads, both write, and the other takes over. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { canonical } from "../lib/device.mjs";
import { scenario, useStack } from "../lib/stack.mjs";
import { until } from "../lib/until.mjs";

describe("two tabs", () => {
  const stack = useStack();

  for (const how of ["closed", "crashed"]) {
    scenario(
      stack,
      `a follower's write goes through the leader; when that is ${how}, the other takes over`,
      async (world) => {
        const device = await world.device({ tabs: 2 });
        const { leader, follower } = await roles(device);
        await insert(follower, "by the follower");
        await until("on the server", async () => (await world.rows("todos")).size === 1);
        assert.equal(await follower.run(() => window.tw.db.sync.status.peek().leader), false, "it still follows");
        await leader.until("the leader shows it", async () => (await window.tw.rows("todos")).length === 1);

        device.offline();
        await insert(leader, "left behind by the leader");
        await (how === "closed" ? leader.close() : leader.raw.crash());
        device.tabs.splice(device.tabs.indexOf(leader), 1);
        device.online();
        await insert(follower, "after the leader");
        await until("everything is on the server", async () => (await world.rows("todos")).size === 3);
        assert.equal(await follower.run(() => window.tw.db.sync.status.peek().leader), true);
        await follower.synced();
        await follower.agrees("todos", await world.rows("todos"));
      },
    );
  }

  scenario(stack, "see each other's writes offline, and both know when a write of theirs is settled", async (world) => {
    const device = await world.device({ tabs: 2 });
    const [one, two] = device.tabs;
    await one.synced();
    device.offline();
    await Promise.all(device.tabs.map((tab, i) => insert(tab, `from tab ${i}`)));
    for (const tab of device.tabs) {
      await tab.until("both rows are shown", async () => (await window.tw.rows("todos")).length === 2);
    }
    assert.equal(canonical(await one.rows("todos")), canonical(await two.rows("todos")));
    device.online();
    // Asked for while the status still says `offline`, a verdict is refused with that code: ask again.
    const verdict = (tab) =>
      until("its verdict", () => tab.run(async () => (await window.tw.last.server({ timeoutMs: 10_000 })).verdict));
    assert.deepEqual(await Promise.all(device.tabs.map(verdict)), ["applied", "applied"]);
    for (const tab of device.tabs) await tab.synced();
  });

  scenario(stack, "one alone keeps news of the log to itself, and tells who comes what it missed", async (world) => {
    const device = await world.device();
    const one = device.first;
    await one.synced();
    // The leader would write down what it sends, and that would be news.
    await one.run(() => window.tw.db.sync.pause());
    await one.run(countNews);
    const news = () => one.run(() => /** @type {any} */ (window).news);
    await insert(one, "alone");
    const two = await device.tab({ script: holdMessages });
    await two.until("what is in the log is shown", async () => (await window.tw.rows("todos")).length === 1);

    await insert(one, "while nobody was known");
    assert.equal(await news(), 0);
    assert.equal((await two.rows("todos")).length, 1);
    await two.run(() => /** @type {any} */ (window).sendMessages());
    await two.until("what was missed is shown", async () => (await window.tw.rows("todos")).length === 2);
    assert.equal(await news(), 1);

    await insert(one, "told at once");
    await two.until("it is shown", async () => (await window.tw.rows("todos")).length === 3);
    assert.equal(await news(), 2);
    await insert(two, "and the other way");
    await one.until("it is shown", async () => (await window.tw.rows("todos")).length === 4);
  });

  scenario(stack, "of which the leader freezes: the other leads, and nothing is made twice", async (world) => {
    const device = await world.device({ tabs: 2 });
    const { leader, follower } = await roles(device);
    const id = await follower.run(async () => {
      const write = window.tw.db.todos.insert({ title: "counted", votes: 0 });
      await write;
      return write.id;
    });
    await leader.synced();
    const thaw = await leader.raw.freeze();
    await follower.run(increments, id);
    const votes = async () => (await world.rows("todos")).get(id)?.votes;
    await until("the follower leads and pushes", async () => (await votes()) === 25);
    assert.equal(await follower.run(() => window.tw.db.sync.status.peek().leader), true);

    await thaw();
    await leader.run(increments, id);
    await device.drained();
    assert.equal(await votes(), 50);
    assert.equal((await roles(device)).leader, follower, "who woke follows");
    for (const tab of device.tabs) await tab.agrees("todos", await world.rows("todos"));
  });

  scenario(stack, "that write the same entity at once lose none of each other's increments", async (world) => {
    const device = await world.device({ tabs: 2 });
    const id = await device.run(async () => {
      const write = window.tw.db.todos.insert({ title: "shared", votes: 0 });
      await write;
      return write.id;
    });
    const second = device.tabs[1];
    await second.until("the second tab sees it", async (wanted) => Boolean(await window.tw.db.todos.get(wanted)), id);
    await Promise.all(device.tabs.map((tab) => tab.run(increments, id)));
    await device.drained();
    const stored = await world.rows("todos");
    assert.equal(stored.get(id).votes, 50);
    for (const tab of device.tabs) await tab.agrees("todos", stored);
  });

  scenario(stack, "of which one erases all and begins anew: the other, at rest, shows that", async (world) => {
    const device = await world.device({ tabs: 2 });
    const { leader, follower } = await roles(device);
    await insert(leader, "erased");
    await leader.synced();
    await follower.until("both know it", async () => (await window.tw.rows("todos")).length === 1);
    device.offline();
    await follower.run(() => window.tw.db.erase());
    await follower.reload();
    await insert(follower, "new");
    await leader.until("what is on the device now", async () => {
      const rows = await window.tw.rows("todos");
      return rows.length === 1 && rows[0].title === "new";
    });
    device.online();
    await device.synced();
    for (const tab of device.tabs) await tab.agrees("todos", await world.rows("todos"));
    assert.equal((await world.rows("todos")).size, 2);
  });
});

/** Which tab leads. */
async function roles(device) {
  return until("one tab leads", async () => {
    const leads = await Promise.all(
      device.tabs.map((tab) => tab.run(() => window.tw.db.sync.status.peek()?.leader === true)),
    );
    if (leads.filter(Boolean).length !== 1) return false;
    const [leader, follower] = leads[0] ? device.tabs : [...device.tabs].reverse();
    return { leader, follower };
  });
}

function insert(tab, title) {
  return tab.run(async (text) => {
    window.tw.last = window.tw.db.todos.insert({ title: text });
    await window.tw.last;
  }, title);
}

/** Runs in the page. */
async function increments(id) {
  for (let i = 0; i < 25; i += 1) await window.tw.db.todos.update(id, { votes: window.tw.inc(1) });
}

/** Runs in the page: counts the messages to other tabs that are about the log. */
function countNews() {
  const page = /** @type {any} */ (window);
  const { postMessage } = BroadcastChannel.prototype;
  page.news = 0;
  BroadcastChannel.prototype.postMessage = function (message) {
    if (message instanceof Uint8Array && /** @type {number} */ (message[0]) < 2) page.news += 1;
    postMessage.call(this, message);
  };
}

/** Runs in the page before it loads: holds its messages to other tabs back. */
function holdMessages() {
  const { postMessage } = BroadcastChannel.prototype;
  /** @type {(() => void)[]} */
  const held = [];
  BroadcastChannel.prototype.postMessage = function (message) {
    held.push(() => postMessage.call(this, message));
  };
  /** @type {any} */ (window).sendMessages = () => {
    BroadcastChannel.prototype.postMessage = postMessage;
    for (const send of held) send();
  };
}
