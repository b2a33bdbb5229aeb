/** Faults that the browser itself makes, by its own tools: what a user sees of them, and that nothing is lost. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { scenario, useStack } from "../lib/stack.mjs";
import { until } from "../lib/until.mjs";

const LINES = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: -1 };

describe("lie-fi: the browser says that it is online, and no request gets through", () => {
  const stack = useStack();

  scenario(stack, "is called offline all the same, without a busy loop, until it ends", async (world) => {
    const device = await world.device({ tabs: 0 });
    await device.tab({ script: blockSockets });
    const id = await counter(device);
    const cdp = await device.context.newCDPSession(device.first.raw.page);
    const { offline: _, ...line } = LINES;
    const matchedNetworkConditions = [{ urlPattern: `${device.proxy.url}/*`, ...line }];
    const lie = (offline) => cdp.send("Network.emulateNetworkConditionsByRule", { offline, matchedNetworkConditions });
    await cdp.send("Network.enable");
    await lie(true);
    await increment(device, id);
    await device.until("status offline", () => window.tw.db.sync.status.peek().state === "offline");
    assert.equal(await device.run(() => navigator.onLine), true);
    const requests = async () => (await device.run(() => window.tw.db.sync.metrics.get())).requests;
    const before = await requests();
    await device.run(() => new Promise((resolve) => setTimeout(resolve, 2_000)));
    const asked = (await requests()) - before;
    assert.ok(asked > 0 && asked < 30, `${asked} requests in two seconds, of retries every 0.8 s at most`);
    assert.equal((await device.status()).pending, 1);
    assert.equal(await told(device, id), "offline");
    await lie(false);
    await settled(world, device, id, 1);
  });
});

describe("the server commits and the browser loses the answer", () => {
  const stack = useStack();

  scenario(stack, "is told as a failed request, asked again, and counts once", async (world) => {
    const device = await world.device({ tabs: 0 });
    await device.tab({ script: blockSockets });
    const id = await counter(device);
    const cdp = await device.context.newCDPSession(device.first.raw.page);
    let lost = 0;
    // What is paused when this ends is let go by the browser.
    const settle = (method, more) => cdp.send(method, more).catch(() => undefined);
    cdp.on("Fetch.requestPaused", ({ requestId, request }) => {
      if (request.method !== "POST") return void settle("Fetch.continueRequest", { requestId });
      lost += 1;
      void settle("Fetch.failRequest", { requestId, errorReason: "ConnectionReset" });
    });
    // Pulls, too: they would tell what became of the push.
    const patterns = ["*/push", "*/pull"].map((urlPattern) => ({ urlPattern, requestStage: "Response" }));
    await cdp.send("Fetch.enable", { patterns });
    await increment(device, id);
    await until("the server has it", async () => (await world.rows("todos")).get(id).votes === 1);
    await until("the answer was lost", () => lost > 0);
    await device.until("it is told", () => window.tw.states.some((state) => ["connecting", "offline"].includes(state)));
    assert.equal((await device.status()).pending, 1);
    const [entry] = (await device.queue()).pending;
    assert.ok(entry.attempts > 0 && entry.error === undefined, JSON.stringify(entry));
    await cdp.send("Fetch.disable");
    await settled(world, device, id, 1);
  });
});

describe("one tab without a network, another with it", () => {
  const stack = useStack();

  scenario(stack, "show what either writes, and say that it waits, until the line is back", async (world) => {
    const device = await world.device({ tabs: 2 });
    const leads = (tab) => tab.run(() => window.tw.db.sync.status.peek()?.leader === true);
    const leader = await until("one leads", async () => {
      for (const tab of device.tabs) if (await leads(tab)) return tab;
      return undefined;
    });
    const follower = device.tabs.find((tab) => tab !== leader);
    const id = await counter(device);
    const cdp = await device.context.newCDPSession(leader.raw.page);
    await cdp.send("Network.enable");
    await cdp.send("Network.emulateNetworkConditions", { ...LINES, offline: true });
    await leader.until("it says so", () => window.tw.db.sync.status.peek().state === "offline");
    assert.equal(await follower.run(() => navigator.onLine), true);
    await increment(follower, id);
    await increment(leader, id);
    for (const tab of device.tabs)
      await tab.until("both are shown", async (key) => (await window.tw.db.todos.get(key)).votes === 2, id);
    // The tab that leads speaks for all: what it cannot send waits, and each of them says so.
    for (const tab of device.tabs) {
      const { state, pending } = await tab.status();
      assert.deepEqual([state, pending], ["offline", 2]);
    }
    await cdp.send("Network.emulateNetworkConditions", LINES);
    await settled(world, device, id, 2);
  });
});

describe("a page that was left and is come back to", () => {
  const stack = useStack({ launch: { ignoreDefaultArgs: ["--disable-back-forward-cache"] } });
  const leads = (tab) => tab.until("it leads", () => window.tw.db.sync.status.peek()?.leader === true);

  scenario(stack, "by the back-forward cache is as it was, hears what it missed, and goes on", async (world) => {
    const device = await world.device();
    const { page } = device.first.raw;
    await leads(device.first);
    const id = await counter(device);
    await device.run(countShows);
    device.offline();
    await increment(device, id);
    await page.goto(`${world.page}/no-such-page`);
    device.online();
    const other = await world.device({ user: "bob" });
    await other.until("Bob sees it", async (key) => (await window.tw.db.todos.get(key)) !== undefined, id);
    await increment(other, id);
    await other.synced();
    await page.goBack({ waitUntil: "commit" });
    await device.until("it is the page that it was", () => /** @type {any} */ (window).shows.join() === "true");
    await device.until("it shows both edits", async (key) => (await window.tw.db.todos.get(key)).votes === 2, id);
    await increment(device, id);
    await settled(world, device, id, 3);
    await leads(device.first);
    await other.agrees("todos", await world.rows("todos"));
  });

  scenario(stack, "while another tab leads: nothing is lost, and that one goes on leading", async (world) => {
    const device = await world.device({ tabs: 2 });
    const one = await until("one leads", async () => {
      for (const tab of device.tabs) if ((await tab.status())?.leader) return tab;
      return undefined;
    });
    const two = device.tabs.find((tab) => tab !== one);
    const id = await counter(device);
    await increment(one, id);
    await one.raw.page.goto(`${world.page}/no-such-page`);
    await leads(two);
    await increment(two, id);
    await until("the server has both", async () => (await world.rows("todos")).get(id).votes === 2);
    // What the other tab says to all is a reason for Chromium to give the page up, and to load it anew.
    await one.raw.page.goBack();
    await one.until("it is up", () => Boolean(window.tw));
    await increment(one, id);
    await settled(world, device, id, 3);
    assert.deepEqual([(await one.status()).leader, (await two.status()).leader], [false, true]);
  });
});

describe("a page whose Content-Security-Policy lets no WebAssembly in", () => {
  const stack = useStack();

  for (const [policy, isLetIn] of /** @type {const} */ ([
    ["script-src 'self'", false],
    ["script-src 'self' 'wasm-unsafe-eval'", true],
  ]))
    scenario(stack, isLetIn ? "one that lets it in works" : "is told the code, and what to do", async (world) => {
      const device = await world.device({ tabs: 0 });
      await device.context.route(`${world.page}/`, async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, headers: { ...response.headers(), "content-security-policy": policy } });
      });
      await device.tab();
      const outcome = await device.run(() =>
        window.tw.db.todos.insert({ title: "x" }).then(
          () => ({ code: "stored" }),
          ({ code, hint, retryable }) => ({ code, hint, retryable }),
        ),
      );
      if (isLetIn) return assert.equal(outcome.code, "stored");
      assert.equal(outcome.code, "wasm-load");
      assert.match(outcome.hint, /If the page has a Content-Security-Policy, allow 'wasm-unsafe-eval'\.$/);
      const shown = await device.run(() => window.tw.db.sync.status.peek()?.state);
      assert.notEqual(shown, "synced");
      return undefined;
    });
});

/** A row whose `votes` are 0 on the server. */
async function counter(device) {
  const id = await device.run(async () => {
    const write = window.tw.db.todos.insert({ title: "counted", votes: 0 });
    await write;
    return write.id;
  });
  await device.synced();
  return id;
}

const increment = (tab, id) => tab.run(edit, id);

/** What becomes of a wait for the server. */
const told = (tab, id) =>
  tab.run(
    (key) =>
      window.tw.db.todos
        .update(key, { seen: true })
        .server({ timeoutMs: 5_000 })
        .then(
          () => "decided",
          (error) => error.code,
        ),
    id,
  );

/** Runs in the page. */
async function edit(id) {
  await window.tw.db.todos.update(id, { votes: window.tw.inc(1) });
}

/** Runs in the page: writes down whether it is shown again by the cache. */
function countShows() {
  const page = /** @type {any} */ (window);
  page.shows = [];
  addEventListener("pageshow", ({ persisted }) => page.shows.push(persisted));
}

/** Runs in the page before it loads: what is pushed goes by requests. */
function blockSockets() {
  window.WebSocket = /** @type {any} */ (
    class {
      constructor() {
        throw new DOMException("blocked", "SecurityError");
      }
    }
  );
}

/** All is well again, each edit counts once, and nobody was told of anything that was not so. */
async function settled(world, device, id, votes) {
  for (const tab of device.tabs) await tab.synced();
  const stored = await world.rows("todos");
  assert.equal(stored.get(id).votes, votes);
  for (const tab of device.tabs) {
    await tab.agrees("todos", stored);
    const seen = await tab.run(async () => {
      const { events, errors } = window.tw;
      const told = events.filter(({ type }) => type !== "progress");
      return { told, errors, failed: (await window.tw.queue()).failed };
    });
    assert.deepEqual(seen, { told: [], errors: [], failed: [] });
  }
}
