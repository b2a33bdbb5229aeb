/**
 * One run of the matrix of PowerSync's public tests: clients that write at a rate, faults for as long, then everything
 * heals, and within a bounded time every client and the server hold the same. A client that stalls fails the run.
 */
import assert from "node:assert/strict";

import { ACCOUNTS, COLLECTIONS, KEYS, MONEY, isSetUp, look, setUp, work } from "./matrix-page.mjs";
import { profileDevice } from "./profile.mjs";
import { until } from "./until.mjs";

/** From the end of the faults and of the work until all hold the same: longer is a stall. */
export const SETTLE_MS = 60_000;
/** The machine of the tests is shared: what a run asks for and does not reach by half is no run at that rate. */
const LEAST_RATE = 0.5;

/**
 * @param {any} world
 * @param {{ clients: number, rate: number, seconds: number, fault: keyof typeof FAULTS, seed: number }} settings
 */
export async function run(world, { clients, rate, seconds, fault, seed }) {
  const random = generator(seed);
  const devices = [await profileDevice(world, { collections: COLLECTIONS, user: "u0", name: "client-0" })];
  for (let i = 1; i < clients; i += 1)
    devices.push(await world.device({ user: `u${i}`, name: `client-${i}`, collections: COLLECTIONS }));
  await devices[0].tab();
  const rows = { keys: KEYS, accounts: ACCOUNTS, clients, money: MONEY };
  await devices[1].run(setUp, rows);
  for (const device of devices) await device.until("the first rows", isSetUp, rows);

  const each = Math.round((rate * seconds) / clients);
  const start = Date.now() + 500;
  const plan = { count: each, everyMs: (clients * 1_000) / rate, start, seed };
  const all = devices.map((device, me) => new Client(device, me, plan));
  for (const client of all) await client.begin();
  const faults = { done: 0, counted: {} };
  while (Date.now() < start + seconds * 1_000) await FAULTS[fault]({ world, clients: all, random, faults });
  if (fault !== "none") assert.ok(faults.done > 0, "there were faults");
  for (const client of all) client.device.online();

  const healed = performance.now();
  const left = () => ({ timeoutMs: Math.max(1, SETTLE_MS - (performance.now() - healed)) });
  for (const client of all) await until(`client ${client.me} has done its work`, () => client.isDone(), left());
  const tookMs = Date.now() - start;
  for (const { device } of all) await device.synced(left());
  const stored = {};
  for (const name of Object.keys(COLLECTIONS)) {
    stored[name] = await world.rows(name);
    for (const { device } of all) await device.agrees(name, stored[name], left());
  }
  const settledMs = performance.now() - healed;
  const { acked, looks } = await check(all, stored);
  const reached = acked / (tookMs / 1_000);
  assert.ok(reached >= LEAST_RATE * rate, `${reached.toFixed(1)} transactions a second of ${rate} were reached`);
  return { acked, looks, reached, settledMs, faults: faults.counted };
}

/** One client: its device, and what its pages, also those that died, said. */
class Client {
  /** How many pages of it died. */
  deaths = 0;
  #lines = [];
  #plan;

  constructor(device, me, plan) {
    this.device = device;
    this.me = me;
    this.#plan = plan;
  }

  async begin() {
    const begun = this.said("begun");
    const own = {};
    for (const [, s, keys] of this.said("acked").filter(([kind]) => kind === "key"))
      for (const key of keys.split(",")) own[key] = Number(s);
    // What a page did not come to say any more before it died was fewer than these.
    const first = 1 + Math.max(0, ...begun.map(([, s]) => Number(s))) + (this.deaths > 0 ? 1_000 : 0);
    const { count, everyMs, start, seed } = this.#plan;
    const left = Math.max(0, count - begun.length);
    // A page that was opened again goes on where the plan stands.
    const begins = start + begun.length * everyMs;
    await this.device.until("its rows", async () => (await window.tw.rows("keys")).length > 0);
    await this.device.run(look, { me: this.me, money: MONEY, own });
    const task = { me: this.me, first, count: left, everyMs, keys: KEYS, accounts: ACCOUNTS, start: begins };
    await this.device.run(work, { ...task, seed: seed + this.me * 7_919 + first });
  }

  /** What its pages said that begins with this word: the words behind it. */
  said(word) {
    const lines = [...this.#lines, ...this.device.first.console];
    return lines.filter((line) => line.startsWith(`log: ${word} `)).map((line) => line.split(" ").slice(2));
  }

  isDone() {
    return this.device.first.console.includes("log: work done");
  }

  /** Its page dies by `die`, and a new one goes on. */
  async reborn(die) {
    const { device } = this;
    const [tab] = device.tabs;
    await die(device, tab);
    this.deaths += 1;
    this.#lines.push(...tab.console);
    device.tabs.splice(0);
    await device.tab();
    await this.begin();
  }
}

/** What happens to a run until its time is over: each is called again and again, and heals what it broke. */
export const FAULTS = {
  none: () => sleep(200),

  /** Lines of some clients go dead, in both directions or in one, and every connection stands. */
  async partition({ clients, random, faults }) {
    const cut = clients.filter(() => random(2) === 0);
    for (const { device } of cut) {
      const mode = ["blackhole", "mute", "deaf"][random(3)];
      count(faults, mode);
      if (mode === "blackhole") device.proxy.blackhole();
      else device.proxy.half(mode);
    }
    await sleep(500 + random(3_000));
    for (const { device } of cut) device.online();
    await sleep(random(1_500));
  },

  /** Connections of some clients are cut, and refused for a while. */
  async disconnect({ clients, random, faults }) {
    const cut = clients.filter(() => random(2) === 0);
    for (const { device } of cut) device.offline();
    if (cut.length > 0) count(faults, "disconnect", cut.length);
    await sleep(50 + random(1_500));
    for (const { device } of cut) device.online();
    await sleep(random(700));
  },

  /** A page crashes, the browser of client 0 is killed, or the server is. */
  async kill({ world, clients, random, faults }) {
    const what = random(5);
    if (what === 0) {
      count(faults, "server");
      await world.server.kill();
      await world.server.start();
    } else if (what === 1) {
      count(faults, "browser");
      await clients[0].reborn((device) => device.kill());
    } else {
      count(faults, "page");
      await clients[random(clients.length)].reborn(async (_, tab) => {
        await tab.raw.crash();
        await tab.close();
      });
    }
    await sleep(300 + random(1_200));
  },

  /** Pages are frozen, all processes of client 0's browser stand still, or the server does. */
  async pause({ world, clients, random, faults }) {
    const what = random(4);
    const ms = 300 + random(2_500);
    if (what === 0) {
      count(faults, "server");
      world.server.pause();
      await sleep(ms);
      world.server.goOn();
    } else if (what === 1) {
      count(faults, "browser");
      await clients[0].device.signal("SIGSTOP");
      await sleep(ms);
      await clients[0].device.signal("SIGCONT");
    } else {
      const frozen = clients.slice(1).filter(() => random(2) === 0);
      const thaws = await Promise.all(frozen.map(({ device }) => device.first.raw.freeze()));
      if (frozen.length > 0) count(faults, "page", frozen.length);
      await sleep(ms);
      await Promise.all(thaws.map((thaw) => thaw()));
    }
    await sleep(random(1_000));
  },
};

function count(faults, what, times = 1) {
  faults.done += times;
  faults.counted[what] = (faults.counted[what] ?? 0) + times;
}

/** What every client said and what stands must fit; and what a user sees at the end is that all is well. */
async function check(clients, stored) {
  const items = [...stored.lists.values()].flatMap((list) => list.items);
  let [acked, looks] = [0, 0];
  for (const client of clients) {
    const { me, device } = client;
    const violations = client.said("violation").map((words) => words.join(" "));
    assert.deepEqual(violations, [], `client ${me}`);
    const begun = new Set(client.said("begun").map((words) => words.join(" ")));
    const own = client.said("acked");
    acked += own.length;
    const transfers = own.flatMap(([kind, , item]) => (kind === "item" ? [item] : []));
    assert.deepEqual(transfers.filter((item) => !items.includes(item)), [], `client ${me}'s transfers are there`);
    const mine = items.filter((item) => item.startsWith(`c${me}-`));
    assert.equal(new Set(mine).size, mine.length, "each once");
    const isBegun = (item) => begun.has(`item ${/-(\d+):/.exec(item)?.[1]} ${item}`);
    // A page that died may have begun what nobody heard of.
    if (client.deaths === 0) assert.deepEqual(mine.filter((item) => !isBegun(item)), [], "none made up");
    for (const [, s, keys] of own.filter(([kind]) => kind === "key"))
      for (const key of keys.split(",")) {
        const at = stored.keys.get(key)[`c${me}`]?.s ?? 0;
        assert.ok(at >= Number(s), `client ${me} was acknowledged ${s} at ${key}, where ${at} stands`);
      }
    const { looks: ofPage, shown } = await device.run(whatIsSeen);
    looks += ofPage;
    assert.deepEqual(shown, { errors: [], events: [], failed: [], status: "synced" });
  }
  const money = [...stored.accounts.values()].reduce((sum, account) => sum + account.money, 0);
  assert.equal(money, ACCOUNTS * MONEY, "no money was made, none is gone");
  return { acked, looks };
}

/** Runs in the page: what it looks like when all is healed. */
async function whatIsSeen() {
  const { db, errors, events } = window.tw;
  const { failed } = await window.tw.queue();
  const { looks, look } = /** @type {any} */ (window);
  look();
  const told = events.filter(({ type }) => type !== "progress");
  const shown = { errors, events: told, failed, status: db.sync.status.peek().state };
  return { looks, shown };
}

/** Whole numbers below a bound, the same for the same seed. */
function generator(seed) {
  let state = seed >>> 0;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
