#!/usr/bin/env node
// `npm run bench`: Tidewire and its peers, side by side in one Chromium. `--quick`: small sizes and one round, to see
// that every adapter is correct. `--only <words>`: adapters, sessions or figures by name. `--rounds <n>`, `--out <d>`.
// A whole run writes `bench/RESULTS.md` and `bench/charts`; a quick or partial one writes to `target/bench`.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build as buildParts } from "../scripts/lib/parts.mjs";
import { optionsOf } from "./lib/options.mjs";
import { Results } from "./lib/results.mjs";
import { writeReport } from "./lib/report.mjs";
import { SESSIONS } from "./lib/sessions.mjs";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const ROOT = path.join(HERE, "..");
const ADAPTERS = readdirSync(path.join(HERE, "adapters"))
  .filter((name) => name.endsWith(".js"))
  .map((name) => name.replace(/\.js$/, ""));

const SERVERS = readdirSync(path.join(HERE, "servers")).map((name) => name.replace(/\.mjs$/, ""));

// Some of the peers' servers leave timers and sockets behind, which would keep this process alive.
process.exit(await main(process.argv.slice(2)));

async function main(words) {
  const options = optionsOf(words, { adapters: ADAPTERS, sessions: SESSIONS });
  if (options.problem !== undefined) {
    console.error(options.problem);
    return 2;
  }
  // Before the build, which is no work of others.
  const loadBefore = os.loadavg();
  const out = options.out ?? (options.whole ? HERE : path.join(ROOT, "target", "bench"));
  if (!install() || !(await buildParts(partsOf(options)))) return 1;
  const { build } = await import("vite");
  await build({ configFile: path.join(HERE, "vite.config.js") });
  const { openLab } = await import("./lib/browser.mjs");
  const lab = await openLab(path.join(HERE, "dist"));
  const results = new Results({ ...options, ...machine(), chromium: lab.version, loadBefore });
  const slow = new Set();
  const problem = options.continues ? results.goOnFrom(earlier(out)) : undefined;
  if (problem !== undefined) {
    console.error(`Cannot go on: ${problem}.`);
    await lab.close();
    return 2;
  }
  try {
    await describe(lab, results, options);
    for (let round = 0; round < options.sizes.rounds; round += 1) {
      for (const name of options.sessions) {
        await runSession(lab, results, options, name, round, slow);
        // A run takes long: what is there is written, should it be ended before.
        results.finish(os.loadavg());
        writeReport(out, results.data);
      }
    }
  } finally {
    await lab.close();
  }
  console.log(`\n${path.relative(process.cwd(), path.join(out, "RESULTS.md"))}; ${results.failures.length} failures`);
  for (const line of results.failures) console.log(`  ${line}`);
  return results.failures.length === 0 ? 0 : 1;
}

/** The data of the run whose results are there. */
function earlier(out) {
  return JSON.parse(readFileSync(path.join(out, "charts", "samples.json"), "utf8"));
}

/** The peers are large, and only this needs them: they are installed at the first run. */
function install() {
  const [locked, installed] = ["package-lock.json", "node_modules/.package-lock.json"].map((name) =>
    path.join(HERE, name),
  );
  const versions = (file) => JSON.parse(readFileSync(file, "utf8")).packages;
  const same = () => {
    const [want, have] = [versions(locked), versions(installed)];
    return Object.keys(want).every(
      (name) => name === "" || want[name].optional || have[name]?.version === want[name].version,
    );
  };
  if (existsSync(installed) && same()) return true;
  console.log("Installing the peers (once).");
  // What a library asks of Node does not matter here: only browsers run it.
  return spawnSync("npm", ["ci", "--engine-strict=false"], { cwd: HERE, stdio: "inherit" }).status === 0;
}

/** The server is built only where something syncs, and where no other is named. */
function partsOf({ sessions, adapters }) {
  const syncs = adapters.includes("tidewire") && sessions.some((name) => SESSIONS[name].syncs);
  return ["packages", "wasm", "pkg", ...(syncs && !process.env.TIDEWIRE_SERVER ? ["server"] : [])];
}

function machine() {
  const cpus = os.cpus();
  const gib = Math.round(os.totalmem() / 2 ** 30);
  return {
    machine: `${cpus.length} x ${cpus[0].model.trim()}, ${gib} GiB, ${os.type()} ${os.release()}`,
    node: process.versions.node,
    commit: spawnSync("git", ["rev-parse", "--short", "HEAD"], { cwd: ROOT, encoding: "utf8" }).stdout?.trim() ?? "",
    began: new Date().toISOString(),
  };
}

/** Asks each adapter what it is, and looks up the versions of its packages. */
async function describe(lab, results, { adapters }) {
  const stage = lab.stage();
  for (const adapter of adapters) {
    // Two of them hold other versions of one library, which refuses to be loaded twice in a page.
    await stage.load();
    const about = await stage.call("about", { adapter });
    const version = (name) =>
      JSON.parse(readFileSync(path.join(HERE, "node_modules", name, "package.json"), "utf8")).version;
    const versions = Object.fromEntries((about.packages ?? []).map((name) => [name, version(name)]));
    results.describe(adapter, { ...about, versions });
  }
  await stage.close();
}

/** One session with every adapter. The order is another one in each round, so that none is always first. */
async function runSession(lab, results, { adapters, sizes, slowOnce }, name, round, slow) {
  const session = SESSIONS[name];
  const takesPart = session.syncs ? SERVERS : (session.adapters ?? adapters);
  const able = adapters.filter((adapter) => takesPart.includes(adapter));
  const turned = able.map((_, at) => able[(at + round) % able.length]);
  const order = round % 2 === 0 ? turned : turned.reverse();
  for (const adapter of order) {
    const { durabilities } = results.data.adapters[adapter];
    for (const durability of session.durable ? durabilities : durabilities.slice(0, 1)) {
      const mark = session.durable ? durability : "";
      const key = [name, adapter, mark].join(" ");
      if (slow.has(key)) continue;
      const from = performance.now();
      await runOne(lab, results, { name, adapter, durability, mark, sizes, round });
      const seconds = (performance.now() - from) / 1_000;
      // A whole run would take many hours, most of them with the slowest.
      if (seconds > slowOnce && adapter !== "tidewire") slow.add(key);
      const who = `${name.padEnd(8)} ${adapter.padEnd(12)} ${mark.padEnd(8)}`;
      console.log(`${round + 1}/${sizes.rounds}  ${who} ${seconds.toFixed(1)} s`);
    }
  }
}

/** One adapter in one session: fresh stages, and servers where it asks for them. */
async function runOne(lab, results, { name, adapter, durability, mark, sizes, round }) {
  const closing = [];
  const opened = (one) => {
    closing.unshift(one);
    return one;
  };
  const stages = (count) => Array.from({ length: count }, () => opened(lab.stage()));
  const server = async (asked) => {
    const { serve } = await import(`./servers/${adapter}.mjs`);
    return opened(await serve({ origins: asked.map((stage) => stage.origin) }));
  };
  const about = results.data.adapters[adapter];
  const record = (key, value) => results.record(key, adapter, mark, value);
  const point = (curve, count, value) => results.point(curve, adapter, count, value);
  const lacks = (key) => results.lacks(key, adapter);
  const options = { adapter, durability };
  try {
    const [stage] = SESSIONS[name].syncs ? [] : stages(1);
    await SESSIONS[name].run({ stage, stages, server, adapter, about, options, sizes, record, point, lacks, round });
  } catch (error) {
    results.fail(name, adapter, mark, error);
  }
  for (const one of closing) await one.close().catch((error) => console.error(`${adapter}: ${error.message}`));
}
