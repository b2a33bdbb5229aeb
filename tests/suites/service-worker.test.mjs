/** A service worker that drains the queue: with no tab, beside one, without a token, and stopped in mid-push. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { diskDevice } from "../lib/disk.mjs";
import { canary } from "../lib/fill.mjs";
import { scenario, useStack } from "../lib/stack.mjs";
import { deferred, until } from "../lib/until.mjs";
import { drains, employ, numbersOf, overseer } from "../lib/worker.mjs";

/** A device whose page has left a token, and the way to its worker. */
async function employed(world, settings = {}) {
  const device = await world.device(settings);
  await insert(device.first, "seed");
  await device.synced();
  assert.equal(await employ(device.first), true);
  return { device, boss: await overseer(device, world.page) };
}

/** Inserts rows; returns their ids. */
function insert(tab, ...titles) {
  return tab.run(async (all) => {
    const writes = all.map((title) => window.tw.db.todos.insert({ title, votes: 0 }));
    await Promise.all(writes);
    return writes.map((write) => write.id);
  }, titles);
}

/** Writes twenty increments; each would show if it counted twice. */
function increments(tab, id) {
  return tab.run(async (row) => {
    for (let i = 0; i < 20; i += 1) await window.tw.db.todos.update(row, { votes: window.tw.inc(1) });
  }, id);
}

async function votes(world, id) {
  return (await world.rows("todos")).get(id)?.votes;
}

/** Closes the only tab; nothing of the app is open then. */
async function leave(device) {
  await device.first.close();
  device.tabs.splice(0);
}

/** Opens the page again: it shows what the server has, as synced, and sends nothing. */
async function comesBack(world, device) {
  const before = device.proxy.seen("/push").length;
  const tab = await device.tab();
  await device.synced();
  await tab.agrees("todos", await world.rows("todos"));
  const marks = await tab.run(async () => (await window.tw.db.todos.where({}).get()).map((row) => row.$sync.status));
  assert.deepEqual([...new Set(marks)], ["synced"]);
  assert.equal(device.proxy.seen("/push").length, before, "it had nothing to send");
  assert.deepEqual((await device.queue()).failed, []);
}

describe("a service worker", () => {
  const stack = useStack();

  scenario(stack, "sends what a closed page has written offline, at a sync event, exactly once", async (world) => {
    // The worker does not give its push up and send it again.
    const { device, boss } = await employed(world, { options: { timeoutMs: 40_000 } });
    device.offline();
    const [id] = await insert(device.first, "offline", "offline, too");
    await increments(device.first, id);
    await leave(device);
    device.online();
    const pulls = device.proxy.seen("/pull").length;
    await boss.sync();
    // Nobody speaks to the worker meanwhile: the event alone has started it.
    await until("it is on the server", async () => (await world.rows("todos")).size === 3);
    assert.deepEqual(await drains(boss, 1), [{ pending: 0, failed: 0 }]);
    assert.equal(await votes(world, id), 20);
    const sent = numbersOf(device.proxy);
    assert.equal(new Set(sent).size, sent.length, "each number left once");
    assert.equal(device.proxy.seen("/pull").length, pulls, "it reads nothing");
    await comesBack(world, device);
  });

  scenario(stack, "whose sync event comes while a tab pushes waits for it: nothing is sent twice", async (world) => {
    // The tab does not give its push up meanwhile.
    const { device, boss } = await employed(world, { options: { timeoutMs: 40_000 } });
    device.offline();
    const [id] = await insert(device.first, "by the tab");
    await increments(device.first, id);
    const answer = deferred();
    const slow = device.proxy.next("/push", 1, async (exchange) => {
      const answered = await exchange.forward();
      await answer.promise;
      exchange.reply(answered);
    });
    device.online();
    await until("the tab pushes", () => slow.met() === 1);
    // A worker that hears of the tab that it is offline gives up, for the browser to give the event again.
    await device.until("the tab knows that", () => window.tw.db.sync.status.peek().state === "syncing");
    // A frame may settle what was pushed before its answer comes; this waits for the answer, and so does the worker.
    await insert(device.first, "meanwhile");
    await boss.sync();
    await until("the worker waits for the tab's lock", async () => {
      const { held, pending } = await device.first.run(() => navigator.locks.query());
      return pending?.length === 1 || Promise.reject(new Error(JSON.stringify({ held, pending })));
    });
    answer.resolve();
    assert.deepEqual(await drains(boss, 1), [{ pending: 0, failed: 0 }]);
    await device.drained();
    assert.equal(await votes(world, id), 20);
    assert.equal((await world.rows("todos")).size, 3);
    const sent = numbersOf(device.proxy);
    assert.equal(new Set(sent).size, sent.length, "each number left once");
    await device.first.agrees("todos", await world.rows("todos"));
  });

  scenario(
    stack,
    "takes over from a tab that is frozen in mid-push: one verdict for each number",
    async (world) => {
      const { device, boss } = await employed(world);
      device.offline();
      const [id] = await insert(device.first, "by the tab");
      await increments(device.first, id);
      const frozen = deferred();
      const lost = device.proxy.next("/push", 1, async (exchange) => {
        await exchange.forward();
        await frozen.promise;
        exchange.cut();
      });
      device.online();
      await until("the tab pushes", () => lost.met() === 1);
      const thaw = await device.first.raw.freeze();
      frozen.resolve();
      await boss.sync();
      const [drained] = await until("the worker has drained", () => boss.done().then((done) => done.length && done), {
        timeoutMs: 50_000,
      });
      assert.deepEqual(drained, { pending: 0, failed: 0 });
      assert.equal(await votes(world, id), 20);
      await thaw();
      await insert(device.first, "by the tab that woke");
      await device.drained();
      assert.equal(await votes(world, id), 20);
      assert.deepEqual((await device.queue()).failed, []);
      await device.first.agrees("todos", await world.rows("todos"));
    },
  );

  scenario(stack, "without a token keeps the queue, and says why", async (world) => {
    const device = await world.device();
    await insert(device.first, "seed");
    await device.synced();
    assert.equal(await employ(device.first, { token: null }), true);
    const boss = await overseer(device, world.page);
    assert.equal(await device.run(() => window.tw.leave("")), false, "it is taken back");
    device.offline();
    const [id] = await insert(device.first, "kept");
    await leave(device);
    device.online();
    const asked = () => ["/push", "/pull"].map((path) => device.proxy.seen(path).length);
    const before = asked();
    await boss.sync();
    assert.deepEqual(await drains(boss, 1), [{ reason: "no-token" }]);
    assert.deepEqual(asked(), before, "nothing was asked");
    const tab = await device.tab();
    await tab.synced();
    assert.ok((await world.rows("todos")).has(id), "nothing is lost");
  });

  scenario(stack, "with a token that the server refuses keeps the queue, and says why", async (world) => {
    const { device, boss } = await employed(world);
    assert.equal(await device.run(() => window.tw.leave("expired")), true);
    device.offline();
    const [id] = await insert(device.first, "kept");
    await leave(device);
    device.online();
    await boss.sync();
    assert.deepEqual(await drains(boss, 1), [{ pending: 1, failed: 0, reason: "auth" }]);
    const tab = await device.tab();
    await tab.synced();
    assert.ok((await world.rows("todos")).has(id), "nothing is lost");
  });

  scenario(stack, "that is stopped in mid-push: the next event finishes, and nothing counts twice", async (world) => {
    const { device, boss } = await employed(world);
    device.offline();
    const [id] = await insert(device.first, "stopped");
    await increments(device.first, id);
    await leave(device);
    device.online();
    const stuck = device.proxy.next("/push", 1, async (exchange) => {
      await exchange.forward();
      await new Promise(() => undefined);
    });
    await boss.sync();
    await until("it pushes", () => stuck.met() === 1);
    await until("the server has it", async () => (await votes(world, id)) === 20);
    await boss.stop();
    await boss.sync();
    assert.deepEqual(await drains(boss, 1), [{ pending: 0, failed: 0 }]);
    const sent = numbersOf(device.proxy);
    assert.ok(new Set(sent).size < sent.length, "the same numbers left again");
    assert.equal(await votes(world, id), 20);
    await comesBack(world, device);
  });

  scenario(stack, "that finds no server says so, for the browser to give the event again", async (world) => {
    const { device, boss } = await employed(world);
    device.offline();
    const [id] = await insert(device.first, "later");
    await leave(device);
    await boss.sync();
    assert.deepEqual(await drains(boss, 1), [{ error: "offline" }]);
    device.online();
    assert.deepEqual(await boss.drain(), { drained: { pending: 0, failed: 0 } });
    assert.ok((await world.rows("todos")).has(id));
    await comesBack(world, device);
  });

  scenario(stack, "sends for whoever is signed in; who signs out takes the token back", async (world) => {
    const device = await world.device({ accounts: ["ann", "bob"] });
    const boss = await overseerOf(device, world, async (tab) => {
      await tab.run(() => window.tw.db.signIn("ann"));
    });
    device.offline();
    const [hers] = await insert(device.first, "ann's, who signs out");
    await device.run(() => window.tw.db.signOut());
    await device.run(() => window.tw.db.signIn("bob"));
    assert.equal(await device.run(() => window.tw.leave()), true);
    const [his] = await insert(device.first, "bob's");
    await leave(device);
    device.online();
    await boss.sync();
    // Of ann's store nobody knows how much is in it.
    assert.deepEqual(await drains(boss, 1), [{ reason: "no-token" }]);
    const stored = await world.rows("todos");
    assert.deepEqual([stored.has(hers), stored.has(his)], [false, true]);
    assert.deepEqual(await boss.drain({ user: "bob" }), { drained: { pending: 0, failed: 0 } });
  });

  scenario(stack, "does not open an encrypted store without its key, and sends with it", async (world) => {
    const key = Array.from({ length: 32 }, (_, i) => (i * 7) % 256);
    const { device, boss } = await employed(world, { options: { encrypt: { key: [...key].reverse() } } });
    device.offline();
    const [id] = await insert(device.first, "sealed");
    await leave(device);
    device.online();
    await boss.sync();
    assert.deepEqual(await drains(boss, 1), [{ reason: "no-key" }]);
    assert.equal((await world.rows("todos")).has(id), false);
    assert.deepEqual(await boss.drain({ key }), { drained: { pending: 0, failed: 0 } });
    assert.ok((await world.rows("todos")).has(id));
    await comesBack(world, device);
  });

  scenario(stack, "is left a token that nobody finds in the files of the profile", async (world) => {
    const device = await diskDevice(world, "chromium", {});
    const [token, plain] = [canary(), canary()];
    await device.tab();
    await insert(device.first, "seed");
    assert.equal(await employ(device.first, { token }), true);
    // A word that is stored as it is shows that the search finds what is there.
    await device.run(async (title) => void (await window.tw.db.todos.insert({ title })), plain);
    await device.quit();
    assert.deepEqual(await device.finds([token, plain]), [plain]);
  });
});

/** The way to the worker of a device, after something that comes before the token is left. */
async function overseerOf(device, world, first) {
  await first(device.first);
  assert.equal(await employ(device.first), true);
  return overseer(device, world.page);
}
