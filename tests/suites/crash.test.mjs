/** The page dies in the middle of writing. What was acknowledged is there, and of each transaction all or nothing. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe } from "node:test";

import { ChromiumTab, launchProfile } from "../lib/chromium.mjs";
import { Device } from "../lib/device.mjs";
import { startProxy } from "../lib/proxy.mjs";
import { scenario, useStack } from "../lib/stack.mjs";
import { until } from "../lib/until.mjs";

const CRASHES = process.env.TIDEWIRE_LONG ? 200 : 12;
const KILLS = process.env.TIDEWIRE_LONG ? 40 : 3;
/** Rows in one transaction: enough for a crash to fall between them if they were written one by one. */
const PARTS = 12;

describe("a renderer that crashes while it writes", () => {
  const stack = useStack();
  const name = `loses nothing acknowledged and tears no transaction, ${CRASHES} times`;

  scenario(
    stack,
    name,
    async (world) => {
      const device = await world.device({ collections: { parts: {} } });
      const ledger = new Ledger();
      for (let round = 0; round < CRASHES; round += 1) {
        if (round % 2 === 0) device.offline();
        else device.online();
        const [tab] = device.tabs.splice(0);
        await writeUntil(tab, ledger, 3 + ((round * 7) % 20));
        await tab.raw.crash();
        ledger.close(tab.console);
        await tab.close();
        await device.tab();
        await ledger.check(device);
      }
      console.log(
        `${ledger.inFlight} of ${CRASHES} crashes hit an open transaction; ${ledger.acked.size} were acknowledged`,
      );
      assert.ok(ledger.inFlight >= CRASHES / 2, "at least half of the crashes hit an open transaction");
      device.online();
      await device.synced({ timeoutMs: 60_000 });
      await device.agrees("parts", await world.rows("parts"));
    },
    { timeoutMs: 60_000 + CRASHES * 4_000 },
  );
});

describe("a browser that is killed while it writes", () => {
  const stack = useStack();

  scenario(
    stack,
    `finds on its disk everything that was acknowledged, ${KILLS} times`,
    async (world) => {
      const directory = await mkdtemp(path.join(os.tmpdir(), "tidewire-profile-"));
      const proxy = await startProxy(() => world.server.port);
      proxy.refuse();
      const token = await world.server.token("ann", world.tenant);
      const address = Device.address(world.page, { proxy, token, collections: { parts: {} } });
      const ledger = new Ledger();
      const device = world.owns(profileDevice({ directory, proxy, address }));
      for (let round = 0; round < KILLS; round += 1) {
        const tab = await device.tab();
        await ledger.check(device);
        await writeUntil(tab, ledger, 10 + round * 5);
        process.kill(await browserPid(directory), "SIGKILL");
        await device.gone();
        ledger.close(tab.console);
        device.tabs.splice(0);
      }
      await device.tab();
      await ledger.check(device);
      device.online();
      await device.synced({ timeoutMs: 30_000 });
      await device.agrees("parts", await world.rows("parts"));
    },
    { timeoutMs: 60_000 + KILLS * 8_000 },
  );
});

/** What was begun and what was acknowledged, as the console of the dead page says. */
class Ledger {
  acked = new Set();
  inFlight = 0;
  next = 0;

  /** Takes what a page said until it died. */
  close(lines) {
    const numbers = (word) => lines.flatMap((line) => new RegExp(`${word} (\\d+)$`).exec(line)?.[1] ?? []).map(Number);
    const begun = numbers("begun");
    const acked = numbers("acked");
    acked.forEach((k) => this.acked.add(k));
    if (begun.length > acked.length) this.inFlight += 1;
    this.next = Math.max(this.next, ...begun.map((k) => k + 1));
    this.next += 1_000;
  }

  /** Everything acknowledged is there; every transaction is whole or absent. */
  async check(device) {
    const counts = await device.run(async () => {
      const counted = {};
      for (const row of await window.tw.rows("parts")) counted[row.k] = (counted[row.k] ?? 0) + 1;
      return counted;
    });
    const torn = Object.entries(counts).filter(([, count]) => count !== PARTS);
    assert.deepEqual(torn, [], "all or nothing");
    const lost = [...this.acked].filter((k) => counts[k] === undefined);
    assert.deepEqual(lost, [], "nothing acknowledged is lost");
  }
}

/** Lets a page write transactions without end, and returns when this many were acknowledged. */
async function writeUntil(tab, ledger, acks) {
  await tab.run(writeWithoutEnd, { from: ledger.next, parts: PARTS });
  await until("writes are acknowledged", () => tab.console.filter((line) => line.includes("acked")).length >= acks, {
    everyMs: 2,
  });
}

/** Runs in the page; three transactions are on their way at any time. */
function writeWithoutEnd({ from, parts }) {
  const { db } = window.tw;
  let k = from;
  const lane = async () => {
    for (;;) {
      const mine = k;
      k += 1;
      const write = db.transaction((tx) => {
        for (let part = 0; part < parts; part += 1) tx.parts.insert({ k: mine, part, text: "x".repeat(200) });
      });
      console.log(`begun ${mine}`);
      await write;
      console.log(`acked ${mine}`);
    }
  };
  for (let i = 0; i < 3; i += 1) void lane();
}

/** A device whose browser is started for each tab, on a profile on the disk. */
function profileDevice({ directory, proxy, address }) {
  let context;
  let gone;
  const newTab = async () => {
    context = await launchProfile(directory);
    gone = new Promise((resolve) => context.once("close", resolve));
    return new ChromiumTab(await context.newPage());
  };
  const close = async () => {
    await context?.close();
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  };
  return Object.assign(new Device({ name: "profile", proxy, address, newTab, close }), { gone: () => gone });
}

/** The main process of the browser that uses this profile. */
async function browserPid(directory) {
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (command.includes(`--user-data-dir=${directory}`) && !command.includes("--type=")) return Number(pid);
  }
  throw new Error("the browser of this profile does not run");
}
