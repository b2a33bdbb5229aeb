/**
 * The page, or its browser, dies in the middle of writing, again and again on one profile on the disk. What was
 * acknowledged is there, on the device and on the server, once, and of each transaction all or nothing.
 */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { ACCOUNTS, COLLECTIONS, KINDS, MONEY, PARTS, begin, watchLog, writeWithoutEnd } from "../lib/crash-page.mjs";
import { Ledger, Tally, rowsOf, storedRows } from "../lib/ledger.mjs";
import { profileDevice } from "../lib/profile.mjs";
import { scenario, useStack } from "../lib/stack.mjs";
import { deferred, until } from "../lib/until.mjs";

const LONG = Boolean(process.env.TIDEWIRE_LONG);
const CRASHES = Number(process.env.TIDEWIRE_CRASHES ?? (LONG ? 200 : 6));
const KILLS = Number(process.env.TIDEWIRE_KILLS ?? (LONG ? 20 : 2));
/** Crashes of one profile, then comes a new one: so each is opened with few and with many rows. */
const ON_ONE_PROFILE = 20;
/** Writes that are acknowledged to each page before it dies. */
const WRITES = 100;

const deaths = {
  "a renderer that crashes": { times: CRASHES, die: crash },
  "a browser that is killed": { times: KILLS, die: (device) => device.kill() },
};
for (const [who, { times, die }] of Object.entries(deaths)) {
  describe(`${who} while it writes`, () => {
    const stack = useStack();

    scenario(
      stack,
      `loses nothing acknowledged, tears nothing and doubles nothing, ${times} times`,
      async (world) => {
        const tally = new Tally();
        try {
          for (let left = times; left > 0; left -= ON_ONE_PROFILE)
            await onOneProfile(world, tally, Math.min(left, ON_ONE_PROFILE), die);
        } finally {
          console.log(`${who}: ${tally}`);
        }
        assert.equal(tally.crashes, times);
        assert.ok(tally.acked >= times * WRITES, `${tally.acked} were acknowledged`);
        assert.ok(tally.open >= times / 2, "at least half of them hit an open transaction");
        assert.ok(tally.rolledBack >= times / 2, "as many are known to: what was in it is gone");
      },
      { timeoutMs: 60_000 + times * 30_000 },
    );
  });
}

/** Offline and online take turns, and so do a transaction that is held open, and the moment after a put. */
async function onOneProfile(world, tally, times, die) {
  const tenant = world.tenant;
  world.tenant = `${tenant}p${tally.crashes}`;
  const device = await profileDevice(world, { collections: COLLECTIONS });
  const ledger = new Ledger(tally);
  await device.tab({ script: watchLog });
  await device.run(begin, { accounts: ACCOUNTS, money: MONEY });
  for (let round = 0; round < times; round += 1) {
    if (round % 4 < 2) device.offline();
    else device.online();
    const tab = device.first;
    await writeAndDie(device, tab, ledger, { hold: round % 3 < 2, die });
    device.tabs.splice(0);
    const opened = await device.tab({ script: watchLog });
    ledger.afterCrash(await rowsOf(opened));
    await tellsOnlyTheTruth(opened, { offline: round % 4 < 2 });
    if (round % 4 === 3 || round === times - 1) await drained(world, device, ledger);
  }
  await device.close();
  world.devices.splice(world.devices.indexOf(device), 1);
  world.tenant = tenant;
}

async function writeAndDie(device, tab, ledger, { hold, die }) {
  const { page } = tab.raw;
  const hit = deferred();
  let acks = 0;
  let armed = false;
  page.on("console", (message) => {
    const text = message.text();
    if (text.startsWith("acked ")) acks += 1;
    if (!armed || !text.startsWith(hold ? "held " : "put ")) return;
    armed = false;
    hit.resolve(die(device, tab));
  });
  await tab.run(writeWithoutEnd, { from: ledger.next, kinds: KINDS, accounts: ACCOUNTS, parts: PARTS });
  await until("enough is acknowledged", () => acks >= WRITES, { everyMs: 2 });
  if (hold) await tab.run(() => void (/** @type {any} */ (window).hold = true));
  armed = true;
  await hit.promise;
  ledger.close(tab.console);
}

async function crash(_, tab) {
  await tab.raw.crash();
  await tab.close();
}

/** A crash is nothing that a user has to know of: no event, no error, and a status that counts what waits. */
async function tellsOnlyTheTruth(tab, { offline }) {
  const { events, errors } = await tab.run(() => ({ events: window.tw.events, errors: window.tw.errors }));
  assert.deepEqual([errors, events.filter(({ type }) => type !== "progress")], [[], []]);
  await until("the status counts what waits, and says where syncing stands", async () => {
    const { state, storage, pending, failed } = await tab.status();
    const waits = (await tab.queue()).pending.length;
    const isTrue = offline ? ["offline", "connecting"].includes(state) && pending === waits && waits > 0 : true;
    if (storage === "indexeddb" && failed === 0 && isTrue) return true;
    throw new Error(JSON.stringify({ state, storage, pending, failed, waits }));
  });
}

async function drained(world, device, ledger) {
  device.online();
  await device.synced();
  ledger.check(await rowsOf(device.first));
  ledger.check(await storedRows(world));
  for (const name of Object.keys(COLLECTIONS)) await device.agrees(name, await world.rows(name));
}
