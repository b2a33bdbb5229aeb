/**
 * The sessions of the benchmark: each drives one adapter through steps on a fresh origin and records figures. They are
 * the same for every adapter; what an adapter cannot do is recorded as such.
 */
import { documents } from "../documents.js";
import { median, quantile } from "./figures.mjs";

/** Stored documents, for the curve of growth. */
const CURVE = [10_000, 30_000, 100_000, 300_000];

/** How large things are. */
export const SIZES = {
  full: {
    each: 1_000,
    patched: 10_000,
    large: 50_000,
    huge: 100_000,
    samples: 200,
    rounds: 5,
    curve: CURVE,
    edits: 100_000,
  },
  quick: {
    each: 50,
    patched: 500,
    large: 2_000,
    huge: 4_000,
    samples: 20,
    rounds: 1,
    curve: CURVE.map((count) => count / 50),
    edits: 2_000,
  },
};
/** Documents in one call where the insert itself is not what is measured. */
const CHUNK = 5_000;
/** No step of reads goes on for longer: slow adapters get fewer samples. */
const BUDGET_MS = 10_000;

/** Sessions by name. `durable`: run at each durability of the adapter; otherwise at its first. */
export const SESSIONS = {
  start: { figures: ["start"], durable: true, run: start },
  each: { figures: ["awaited-inserts", "awaited-patches", "patches-at-once"], durable: true, run: each },
  bulk: { figures: ["bulk-insert"], durable: true, run: bulk },
  open: { figures: ["cold-get", "cold-page", "later-get", "later-page"], run: open },
  reads: {
    figures: ["get-first", "get-again", "page", "live-p50", "live-p99", "live-frame-p50", "memory"],
    run: reads,
  },
  pull: { figures: ["pull", "pull-first", "pull-longest", "pull-huge"], syncs: true, run: pull },
  drain: { figures: ["drain-few", "drain-many"], syncs: true, run: drain },
  latency: { figures: ["latency-p50", "latency-p99"], syncs: true, run: latency },
  // Where all peers took part it would take hours; these are the fastest stores below a library and in one.
  curve: { figures: [], adapters: ["tidewire", "indexeddb", "dexie", "sqlite"], run: curve },
  queries: { figures: ["page-huge", "count-by", "rollup", "joined"], run: queries },
};

async function start({ stage, options, record }) {
  await stage.load();
  record("start", await stage.call("start", { ...options, atOnce: true }));
}

async function each({ stage, options, sizes, record, round }) {
  await stage.load();
  await stage.call("open", options);
  record("awaited-inserts", rate(sizes.each, await stage.call("insertEach", { from: 0, to: sizes.each })));
  await stage.call("fill", { from: sizes.each, to: sizes.patched, chunk: CHUNK });
  const patches = { of: sizes.patched, count: sizes.each, seed: round + 1 };
  record("awaited-patches", rate(sizes.each, await stage.call("patchEach", patches)));
  const all = { count: sizes.patched, seed: round + 1 };
  record("patches-at-once", rate(sizes.patched, await stage.call("patchAll", all)));
}

async function bulk({ stage, options, sizes, record }) {
  await stage.load();
  await stage.call("open", options);
  const range = { from: 0, to: sizes.large };
  record("bulk-insert", rate(sizes.large, await stage.call("fill", range)));
  await stage.call("checkFill", range);
}

/** Fills a store, reloads at once, and once more when all idle work is done. */
async function open({ stage, options, sizes, record, round }) {
  await stage.load();
  await stage.call("open", options);
  await stage.call("fill", { from: 0, to: sizes.large, chunk: CHUNK });
  const cold = { ...options, count: sizes.large, turn: round, atOnce: true };
  await stage.reload();
  const first = await stage.call("coldOpen", cold);
  record("cold-get", first.get);
  record("cold-page", first.page);
  await stage.call("settle");
  await stage.load();
  const later = await stage.call("coldOpen", { ...cold, turn: round + 1 });
  record("later-get", later.get);
  record("later-page", later.page);
}

async function reads({ stage, options, sizes, record, lacks, about, round }) {
  await stage.load();
  await stage.call("open", options);
  await stage.call("fill", { from: 0, to: sizes.large, chunk: CHUNK });
  await stage.call("settle");
  await stage.load();
  await stage.call("open", options);
  const gets = { of: sizes.large, count: sizes.large, budgetMs: BUDGET_MS, seed: round + 1 };
  const { first, again } = await stage.call("gets", gets);
  record("get-first", rate(first.count, first.ms));
  record("get-again", rate(again.count, again.ms));
  const live = await stage.call("can", { what: "live" });
  if (live) await stage.call("watch");
  record("memory", await stage.memory());
  record("page", median(await stage.call("pages", { of: sizes.large, turns: sizes.samples, budgetMs: BUDGET_MS })));
  if (!live) return ["live-p50", "live-p99", "live-frame-p50"].forEach(lacks);
  const samples = await stage.call("live", { samples: sizes.samples, budgetMs: BUDGET_MS });
  record("live-p50", median(samples));
  record("live-p99", quantile(samples, 0.99));
  if (!about.flushes) return lacks("live-frame-p50");
  const frames = { samples: sizes.samples, budgetMs: BUDGET_MS, flush: "frame" };
  record("live-frame-p50", median(await stage.call("live", frames)));
}

async function queries({ stage, options, sizes, record, lacks }) {
  await stage.load();
  await stage.call("open", options);
  await stage.call("fillCustomers");
  await stage.call("fill", { from: 0, to: sizes.huge, chunk: CHUNK });
  await stage.call("settle");
  const budget = { of: sizes.huge, budgetMs: BUDGET_MS };
  record("page-huge", median(await stage.call("pages", { ...budget, turns: sizes.samples })));
  for (const [key, what] of [
    ["count-by", "countBy"],
    ["rollup", "rollup"],
    ["joined", "joined"],
  ]) {
    if (!(await stage.call("can", { what }))) lacks(key);
    else record(key, median(await stage.call("aggregate", { ...budget, what, turns: 20 })));
  }
}

/** The same work on ever more documents: what it costs should grow with them, or not at all. */
async function curve({ stages, adapter, options, sizes, point, round }) {
  for (const count of sizes.curve) {
    const [stage] = stages(1);
    await stage.load();
    await stage.call("open", options);
    point("insert", count, rate(count, await stage.call("fill", { from: 0, to: count, chunk: CHUNK })));
    await stage.call("settle");
    const gets = { of: count, count: 10_000, budgetMs: BUDGET_MS, seed: round + 1 };
    const { first } = await stage.call("gets", gets);
    point("get", count, (first.ms / first.count) * 1_000);
    point("page", count, median(await stage.call("pages", { of: count, turns: sizes.samples, budgetMs: BUDGET_MS })));
    // The others give documents to the browser, which tells nobody how many bytes it makes of them.
    if (adapter === "tidewire") {
      const edits = { of: count, edits: sizes.edits, together: 100, seed: round + 1 };
      const { bytes, ms } = await stage.call("editRandomly", edits);
      point("amplification", count, bytes / (sizes.edits * meanBytes(count)));
      point("edits", count, rate(sizes.edits, ms));
    }
    await stage.close();
  }
}

function meanBytes(count) {
  const some = documents(0, Math.min(count, 1_000));
  return some.reduce((sum, doc) => sum + JSON.stringify(doc).length, 0) / some.length;
}

/** A first sync into an empty device, of the usual and of the huge number of documents. */
async function pull({ stages, server, options, sizes, record }) {
  for (const [figure, count] of [
    ["pull", sizes.large],
    ["pull-huge", sizes.huge],
  ]) {
    const [stage] = stages(1);
    const at = await server([stage]);
    await at.fill(documents(0, count));
    await stage.load();
    const { all, first, longest } = await stage.call("pull", { ...options, sync: at.options, count, atOnce: true });
    record(figure, all / 1_000);
    if (figure === "pull") {
      record("pull-first", first);
      // Chromium reports tasks of 50 ms and more.
      record("pull-longest", Math.max(longest, 50));
    }
  }
}

/** Writes made offline, then sent. Where a library does not know that all is accepted, its server says so. */
async function drain({ stages, server, options, sizes, record }) {
  for (const [figure, count] of [
    ["drain-few", sizes.each],
    ["drain-many", sizes.patched],
  ]) {
    const [stage] = stages(1);
    const at = await server([stage]);
    await stage.load();
    await stage.call("open", { ...options, sync: at.options });
    await stage.call("queueOffline", { count });
    const there = at.has?.(count);
    const { from, accepted } = await stage.call("drain");
    record(figure, ((await there) ?? accepted) - from);
  }
}

/** A patch at A until B sees it: each is made when the one before has arrived. */
async function latency({ stages, server, options, sizes, record }) {
  const [a, b] = stages(2);
  const at = await server([a, b]);
  await at.fill(documents(0, 1));
  for (const stage of [a, b]) {
    await stage.load();
    await stage.call("follow", { ...options, sync: at.options, count: 1 });
  }
  const samples = [];
  for (let turn = 0; turn < sizes.samples; turn += 1) {
    const title = `From A ${turn}`;
    const [from, to] = await Promise.all([a.call("sendOne", { title }), b.call("sawOne", { title })]);
    samples.push(to - from);
  }
  record("latency-p50", median(samples));
  record("latency-p99", quantile(samples, 0.99));
}

const rate = (count, ms) => (count / ms) * 1_000;
