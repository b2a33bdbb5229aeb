/** A browser on a profile on the disk is killed while it writes: the same for engines that no driver can crash. */
import assert from "node:assert/strict";

import { ACCOUNTS, COLLECTIONS, KINDS, MONEY, PARTS, begin, watchLog, writeWithoutEnd } from "./crash-page.mjs";
import { diskDevice } from "./disk.mjs";
import { Ledger, Tally, rowsOf, storedRows } from "./ledger.mjs";
import { until } from "./until.mjs";

/** Writes that are acknowledged to each page before its browser dies. */
const WRITES = 100;

/** Twice: while a transaction is held open, offline; and whenever it is, online. */
export async function killJourney(world, engine) {
  const device = await diskDevice(world, engine, { collections: COLLECTIONS });
  const tally = new Tally();
  const ledger = new Ledger(tally);
  await device.tab();
  await device.run(begin, { accounts: ACCOUNTS, money: MONEY });
  for (const hold of [true, false]) {
    if (hold) device.offline();
    else device.online();
    await inPage(device, keepWhatIsSaid);
    await inPage(device, watchLog);
    await inPage(device, writeWithoutEnd, { from: ledger.next, kinds: KINDS, accounts: ACCOUNTS, parts: PARTS });
    const said = await saidUntil(device, (lines) => count(lines, "acked") >= WRITES);
    if (hold) await inPage(device, () => void (/** @type {any} */ (window).hold = true));
    const all = hold ? await saidUntil(device, (lines) => count(lines, "held") > 0) : said;
    await device.first.raw.kill();
    device.tabs.splice(0);
    ledger.close(all.map((line) => `log: ${line}`));
    await device.tab();
    ledger.afterCrash(await rowsOf(device.first));
    const { events, errors } = await device.run(() => ({ events: window.tw.events, errors: window.tw.errors }));
    assert.deepEqual([errors, events.filter(({ type }) => type !== "progress")], [[], []]);
  }
  await device.synced();
  ledger.check(await storedRows(world));
  for (const name of Object.keys(COLLECTIONS)) await device.agrees(name, await world.rows(name));
  console.log(`${engine}: ${tally}`);
  assert.ok(tally.rolledBack >= 1 && tally.acked >= 2 * WRITES, `${tally}`);
  await device.quit();
}

const count = (lines, word) => lines.filter((line) => line.startsWith(`${word} `)).length;

/** Runs a function as the page's own: what Firefox's driver runs has globals of its own. */
const inPage = (device, fn, arg) =>
  device.run((code) => void window.eval(code), `(${fn})(${JSON.stringify(arg)})`);

function saidUntil(device, isEnough) {
  return until("enough is said", async () => {
    const lines = await device.run(() => /** @type {any} */ (window).said);
    return isEnough(lines) && lines;
  });
}

/** Runs in the page: drivers of these engines do not hear its console. */
function keepWhatIsSaid() {
  const page = /** @type {any} */ (window);
  page.said = [];
  console.log = (line) => page.said.push(line);
}
