/** Surroundings that take something away: a secure context, IndexedDB, the socket, a clock that can be trusted. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { scenario, useStack } from "../lib/stack.mjs";
import { until } from "../lib/until.mjs";

const HOUR_MS = 3_600_000;
/** Without locks the lead is taken after 20 s of silence; the rest is for what was written then to arrive. */
const TAKEOVER_MS = 20_000 + 3_000;

describe("an insecure context", () => {
  const stack = useStack({ config: (port) => `[server]\norigins = ["http://insecure.test:${port}"]\n` });

  scenario(stack, "has no locks and no WebCrypto: tabs agree, and every write counts once", async (world) => {
    const device = await world.device({ tabs: 0 });
    device.address = device.address.replace("//localhost:", "//insecure.test:");
    await device.tab();
    const missing = await device.run(() => [isSecureContext, typeof navigator.locks, typeof crypto.subtle]);
    assert.deepEqual(missing, [false, "undefined", "undefined"]);
    await device.tab();
    await device.tab();
    const id = await device.run(async () => {
      const write = window.tw.db.todos.insert({ votes: 0 });
      await write;
      return write.id;
    });
    for (const tab of device.tabs) await tab.until("the row", async (key) => window.tw.db.todos.get(key), id);
    device.offline();
    await increment(device.tabs, id);
    device.online();
    await increment(device.tabs, id);
    for (const tab of device.tabs) await tab.synced();
    const stored = await world.rows("todos");
    assert.equal(stored.get(id).votes, 40);
    for (const tab of device.tabs) await tab.agrees("todos", stored);
    const before = device.proxy.log.length;
    await device.run(() => new Promise((resolve) => setTimeout(resolve, 2_000)));
    assert.ok(device.proxy.log.length - before < 20, "tabs do not take the lead from each other for ever");

    const leads = await Promise.all(device.tabs.map((tab) => tab.run(leadsHere)));
    assert.deepEqual(leads.toSorted(), [false, false, true]);
    const [leader] = device.tabs.splice(leads.indexOf(true), 1);
    await leader.close();
    await increment(device.tabs, id);
    // Both that are left miss it at the same moment.
    await until("one of the others leads", async () => (await world.rows("todos")).get(id).votes === 60, {
      timeoutMs: TAKEOVER_MS,
    });
  });
});

describe("an insecure context with tabs that open at once", () => {
  const stack = useStack({ config: (port) => `[server]\norigins = ["http://insecure.test:${port}"]\n` });

  scenario(stack, "has a leader at once, and one only", async (world) => {
    const device = await world.device({ tabs: 0 });
    device.address = device.address.replace("//localhost:", "//insecure.test:");
    await Promise.all([1, 2, 3].map(() => device.tab()));
    for (let round = 0; round < 5; round += 1) {
      await until(
        "one leads",
        async () => {
          const leads = await Promise.all(device.tabs.map((tab) => tab.run(leadsHere)));
          assert.deepEqual(leads.toSorted(), [false, false, true]);
          return true;
        },
        { timeoutMs: 5_000 },
      );
      await Promise.all(device.tabs.map((tab) => tab.reload()));
    }
  });
});

describe("a browser without IndexedDB for the page", () => {
  const stack = useStack();

  scenario(stack, "keeps the data in memory, says so, and syncs", async (world) => {
    const device = await world.device({ tabs: 0 });
    await device.context.addInitScript(() => {
      const get = () => {
        throw new DOMException("The operation is insecure.", "SecurityError");
      };
      Object.defineProperty(window, "indexedDB", { configurable: true, get });
    });
    await device.tab();
    await device.run(async () => void (await window.tw.db.todos.insert({ title: "in memory" })));
    await device.synced();
    assert.equal((await device.status()).storage, "memory");
    const events = await device.run(() => window.tw.events.filter((event) => event.type === "storage"));
    assert.deepEqual(events, [{ type: "storage", storage: "memory", code: "storage" }]);
    await device.reload();
    await device.synced();
    await device.agrees("todos", await world.rows("todos"));
  });
});

describe("a network without sockets", () => {
  const stack = useStack();

  scenario(stack, "is asked again and again while the page is visible, and at once when it is again", async (world) => {
    const pollMs = { visible: 300, hidden: 5 * 60_000 };
    const reader = await world.device({ user: "bob", tabs: 0, options: { pollMs } });
    await reader.context.addInitScript(() => {
      window.WebSocket = /** @type {any} */ (
        class {
          constructor() {
            throw new DOMException("blocked", "SecurityError");
          }
        }
      );
    });
    await reader.tab();
    await reader.synced();
    const writer = await world.device();
    await insert(writer, "first");
    await reader.until("the first row", async () => (await window.tw.rows("todos")).length === 1);

    await reader.run(show, "hidden");
    await until("the last poll of the visible page is over", async () => {
      const before = reader.proxy.seen("/pull").length;
      await reader.run(() => new Promise((resolve) => setTimeout(resolve, 1_000)));
      return reader.proxy.seen("/pull").length === before;
    });
    await insert(writer, "second");
    await writer.synced();
    await reader.run(show, "visible");
    await reader.until("the second row", async () => (await window.tw.rows("todos")).length === 2);
    await reader.synced();
  });
});

describe("a wall clock that jumps", () => {
  const stack = useStack();

  for (const [how, jumps] of Object.entries({
    "forward and back": [48 * HOUR_MS, 0],
    "back and forward": [-48 * HOUR_MS, 0],
  })) {
    scenario(stack, `${how}: nothing waits for it, and of one author's edits the last one holds`, async (world) => {
      const device = await world.device({ tabs: 0 });
      await device.context.addInitScript(() => {
        const { now } = Date;
        Date.now = () => now.call(Date) + (window.jump ?? 0);
      });
      await device.tab();
      const other = await world.device({ user: "bob" });
      const id = await device.run(async () => {
        const write = window.tw.db.todos.insert({ title: "start" });
        await write.server({ timeoutMs: 60_000 });
        return write.id;
      });
      for (const [step, jump] of jumps.entries()) {
        device.offline();
        await device.run((ms) => void (window.jump = ms), jump);
        await device.run(edit, [id, `${step}`]);
        device.online();
        await device.synced();
        assert.equal((await world.rows("todos")).get(id).title, `${step}`);
      }
      await other.agrees("todos", await world.rows("todos"));
      // A device whose clock was days ahead does not win over a later edit of somebody else.
      await other.run(async (key) => {
        await window.tw.db.todos.update(key, { title: "Bob's, later" }).server({ timeoutMs: 60_000 });
      }, id);
      await device.agrees("todos", await world.rows("todos"));
      assert.equal((await world.rows("todos")).get(id).title, "Bob's, later");
      // Nobody is told of the time: there is nothing that a user could do.
      for (const one of [device, other]) {
        await one.synced();
        const { told, reasons } = await one.run(async () => ({
          told: window.tw.events.filter(({ type }) => type !== "progress"),
          reasons: (await window.tw.db.sync.health.get()).reasons.filter((reason) => !/requests fail/.test(reason)),
        }));
        assert.deepEqual([told, reasons], [[], []]);
      }
    });
  }
});

/** Twenty increments, in turn by each tab. */
async function increment(tabs, id) {
  for (let i = 0; i < 20; i += 1) {
    await tabs[i % tabs.length].run(async (key) => {
      await window.tw.db.todos.update(key, { votes: window.tw.inc(1) });
    }, id);
  }
}

function insert(device, title) {
  return device.run(async (text) => void (await window.tw.db.todos.insert({ title: text })), title);
}

/** Runs in the page. */
function leadsHere() {
  return window.tw.db.sync.status.peek().leader;
}

/** Runs in the page. */
async function edit([id, title]) {
  await window.tw.db.todos.update(id, { title });
}

/** Runs in the page: what the browser says of it from now on. */
function show(state) {
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
  document.dispatchEvent(new Event("visibilitychange"));
}
