/** What a user sees of a line or a server in trouble, the same for every engine: status, event, message, and data. */
import assert from "node:assert/strict";

import * as faults from "./faults.mjs";
import { until } from "./until.mjs";

const OPTIONS = { timeoutMs: 3_000, health: { pendingMs: 6_000 } };
const OFFLINE = {
  code: "offline",
  retryable: true,
  hint: "There is no connection to the server; edits stay queued and are sent when it is back.",
};
const TIMEOUT = { code: "timeout", retryable: true, hint: "No answer within 1000 ms; edits stay queued." };
const STALLED = {
  code: "stalled-queue",
  message: "the oldest edit does not get through: the connection is made anew",
};
const NO_SERVER = {
  code: "bad-response",
  message: "the answer is not a sync server's: sign in to this network, or check `url`",
};
const FAILING = /^\d+ % of the requests fail$/;

const both = (proxy, fault) => ["/push", "/pull"].map((path) => proxy.next(path, 1_000, fault));

/**
 * What goes wrong; the states that `status` may then have, and the one that it comes to; what a caller is told who
 * waits for the server; the events, and the reasons in health.
 *
 * @type {Record<string, {
 *   fault: (proxy: any) => any, states: string[], comesTo: string,
 *   told: object, events: { code: string, message: string }[], reasons: (string | RegExp)[],
 * }>}
 */
const TROUBLES = {
  "a line that is cut": {
    fault: (proxy) => proxy.refuse(),
    states: ["syncing", "connecting", "offline"],
    comesTo: "offline",
    told: OFFLINE,
    events: [],
    reasons: [FAILING],
  },
  "a black hole": {
    fault: (proxy) => proxy.blackhole(),
    states: ["syncing", "connecting", "offline"],
    comesTo: "connecting",
    told: TIMEOUT,
    events: [],
    reasons: [FAILING],
  },
  "a captive portal": {
    fault: (proxy) => both(proxy, faults.portal),
    states: ["syncing", "connecting", "offline"],
    comesTo: "offline",
    told: OFFLINE,
    events: [NO_SERVER],
    reasons: [FAILING],
  },
  "a server that fails (503)": {
    fault: (proxy) => both(proxy, faults.answer(503, "server-error")),
    states: ["syncing"],
    comesTo: "syncing",
    told: TIMEOUT,
    events: [STALLED],
    reasons: [STALLED.message, FAILING],
  },
  "a server that asks for patience (429)": {
    fault: (proxy) => [proxy.next("/push", 1_000, faults.answer(429, "rate-limited", { "retry-after": "8" }))],
    states: ["syncing"],
    comesTo: "syncing",
    told: TIMEOUT,
    events: [STALLED],
    reasons: [],
  },
};

export async function troubleJourney(world) {
  const device = await world.device({ options: OPTIONS });
  const id = await device.run(async () => {
    const write = window.tw.db.todos.insert({ title: "counted", votes: 0 });
    await write;
    return write.id;
  });
  await device.synced();
  let votes = 0;
  for (const [what, trouble] of Object.entries(TROUBLES)) {
    votes += 1;
    await inTrouble(device, id, what, trouble).catch((error) => {
      throw new Error(`${what}: ${error.message}`, { cause: error });
    });
    assert.equal((await world.rows("todos")).get(id).votes, votes, `${what}: it counts once`);
    await device.agrees("todos", await world.rows("todos"));
  }
  await withoutAnswers(world, device, id, votes + 1);
}

/** Answers are lost after the commit, all of them: frames and pulls tell what was applied. */
async function withoutAnswers(world, device, id, votes) {
  const what = "answers that are lost after the commit";
  const rule = device.proxy.next("/push", 1_000, faults.loseAnswer);
  await device.run(editAndWait, [id, what, 20_000]);
  await until("an answer is lost", () => rule.met() > 0);
  await device.synced();
  const { others, failed } = await device.run(() => {
    const { unwatch, events, db } = window.tw;
    unwatch();
    return { others: events.filter(({ type }) => type !== "progress"), failed: db.sync.status.peek().failed };
  });
  assert.deepEqual([others, failed], [[], 0], what);
  rule.stop();
  assert.equal((await world.rows("todos")).get(id).votes, votes, `${what}: it counts once`);
  await device.agrees("todos", await world.rows("todos"));
}

async function inTrouble(device, id, what, { fault, states, comesTo, told, events, reasons }) {
  const rules = [fault(device.proxy)].flat().filter(Boolean);
  // Who is told that there is no connection is told as soon as that is known, which a busy machine takes its time for.
  await device.run(editAndWait, [id, what, told === OFFLINE ? 20_000 : 1_000]);
  await device.until(`status ${comesTo}`, (state) => window.tw.db.sync.status.peek().state === state, comesTo);
  const row = await device.run(async (key) => {
    const { title, $sync } = await window.tw.db.todos.get(key);
    return [title, $sync.status, window.tw.db.sync.status.peek().pending];
  }, id);
  assert.deepEqual(row, [what, "pending", 1], "the edit is shown, and counted as waiting");
  assert.deepEqual(await device.until("who waits is told", () => window.tw.told), told);
  for (const event of events)
    await device.until(`event ${JSON.stringify(event)}`, isTold, event);
  for (const reason of reasons)
    await until(`health says ${reason}`, async () => {
      const health = await device.run(() => window.tw.db.sync.health.get());
      assert.equal(health.healthy, false);
      assert.ok(health.reasons.some((one) => (reason instanceof RegExp ? reason.test(one) : reason === one)));
      return true;
    });
  const seen = await device.run(() => {
    const { shown, unwatch, events, errors } = window.tw;
    unwatch();
    return { shown, events, errors };
  });
  assert.deepEqual(seen.shown.filter(({ state, pending }) => pending !== 1 || !states.includes(state)), []);
  const codes = events.map((event) => event.code);
  const others = seen.events.filter(({ type, code }) => type !== "progress" && !codes.includes(code));
  // A line that does not answer is also an edit that does not get through.
  assert.deepEqual(others.filter(({ code }) => code !== STALLED.code), []);
  assert.deepEqual(seen.errors, []);

  rules.forEach((rule) => rule.stop());
  device.online();
  await device.synced();
  await until("health has forgotten it", async () => {
    const health = await device.run(() => window.tw.db.sync.health.get());
    return !health.reasons.includes(STALLED.message);
  });
  const after = await device.run(async (key) => {
    window.tw.events.length = 0;
    return [(await window.tw.db.todos.get(key)).$sync.status, window.tw.db.sync.status.peek().failed];
  }, id);
  assert.deepEqual(after, ["synced", 0]);
}

/** Runs in the page: an increment, and somebody who waits for the server to have it. */
async function editAndWait([id, title, timeoutMs]) {
  const { tw } = window;
  tw.told = undefined;
  const write = tw.db.todos.update(id, { title, votes: tw.inc(1) });
  await write;
  tw.shown = [];
  tw.unwatch = tw.db.sync.status.subscribe(({ state, pending }) => void tw.shown.push({ state, pending }));
  const told = ({ code, retryable, hint }) => void (tw.told = { code, retryable, hint });
  void write.server({ timeoutMs }).catch(told);
}

/** Runs in the page. */
function isTold({ code, message }) {
  const { events } = window.tw;
  return events.some((event) => event.type === "watchdog" && event.code === code && event.message === message);
}
