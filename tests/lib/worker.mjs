/** The service worker of a device, as a test drives it: by the browser's own sync events, or by messages. */
import assert from "node:assert/strict";

import { until } from "./until.mjs";

/** Starts the service worker from a tab, and lets it drain. */
export async function employ(tab, { token, ...register } = /** @type {any} */ ({})) {
  const { file, options } = register;
  await tab.run((args) => window.tw.serviceWorker(...args), file ? [file, options] : []);
  return tab.run((left) => window.tw.leave(left ?? undefined), token);
}

/**
 * A page of the same origin that opens no database. By it a test reaches the worker when no tab is open any more.
 * Chromium only: sync events are given by the DevTools protocol.
 */
export async function overseer(device, page) {
  const tab = await device.context.newPage();
  const answer = await tab.goto(`${page}/nothing`);
  if (answer?.status() !== 404) throw new Error("the overseer's page must be nothing");
  const session = await device.context.newCDPSession(tab);
  const registrations = new Map();
  session.on("ServiceWorker.workerRegistrationUpdated", (event) =>
    event.registrations.forEach((each) => registrations.set(each.registrationId, each)),
  );
  const versions = new Map();
  session.on("ServiceWorker.workerVersionUpdated", (event) =>
    event.versions.forEach((each) => versions.set(each.versionId, each)),
  );
  await session.send("ServiceWorker.enable");
  const registration = await until("the service worker is registered", () => [...registrations.values()][0]);
  return {
    /** Gives the worker a sync event. `settings` are those of `drain`. */
    sync: (settings = {}) =>
      session.send("ServiceWorker.dispatchSyncEvent", {
        origin: new URL(page).origin,
        registrationId: registration.registrationId,
        tag: JSON.stringify(settings),
        lastChance: false,
      }),
    /** What the drains of this worker's life came to. */
    done: () => tab.evaluate(ask, { say: "done" }),
    /** Drains by a message; the answer is `{ drained }` or `{ error }`. */
    drain: (settings = {}) => tab.evaluate(ask, { text: JSON.stringify(settings) }),
    /** Ends the worker, whatever it does. */
    stop: async () => {
      await session.send("ServiceWorker.stopAllWorkers");
      await until("it is stopped", () => [...versions.values()].every((each) => each.runningStatus === "stopped"));
    },
  };
}

/** Waits for so many drains, and returns what they came to. */
export function drains(overseer, count) {
  return until(`${count} drains`, async () => {
    const done = await overseer.done();
    return done.length >= count ? done : Promise.reject(new Error(JSON.stringify(done)));
  });
}

/** Runs in a page. */
async function ask(message) {
  const { port1, port2 } = new MessageChannel();
  const answer = new Promise((resolve) => (port1.onmessage = ({ data }) => resolve(data)));
  const { active } = await navigator.serviceWorker.ready;
  /** @type {ServiceWorker} */ (active).postMessage({ ...message, port: port2 }, [port2]);
  return answer;
}

/** For engines without sync events: a message has the worker drain while no page of the app is open. */
export async function workerJourney(world) {
  const device = await world.device();
  await device.run(() => window.tw.db.todos.insert({ title: "seed" }).server({ timeoutMs: 60_000 }));
  assert.equal(await employ(device.first, { file: "/sw-classic.js", options: {} }), true);
  device.offline();
  await device.run(async () => {
    for (const title of ["offline", "offline, too"]) await window.tw.db.todos.insert({ title });
  });
  await device.first.raw.open(`${world.page}/nothing`);
  device.online();
  const before = device.proxy.seen("/push").length;
  assert.deepEqual(await device.first.raw.run(ask, { text: "{}" }), { drained: { pending: 0, failed: 0 } });
  assert.equal((await world.rows("todos")).size, 3);
  const pushes = device.proxy.seen("/push").length;
  assert.ok(pushes > before);
  await device.first.open(device.address);
  await device.synced();
  await device.agrees("todos", await world.rows("todos"));
  assert.equal(device.proxy.seen("/push").length, pushes, "the page had nothing to send");
}

/** The numbers of all mutations that left a device, in the order in which they did. */
export function numbersOf(proxy) {
  return proxy
    .seen("/push")
    .flatMap(({ body }) => JSON.parse(body).mutations)
    .map(({ n }) => n.join("."));
}
