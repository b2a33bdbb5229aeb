import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { canonical, documents, expectedJoin, expectedPage, expectedRollup, question } from "../documents.js";
import { growthOf, median, quantile } from "./figures.mjs";
import { optionsOf } from "./options.mjs";
import { writeReport } from "./report.mjs";
import { Results } from "./results.mjs";
import { SESSIONS, SIZES } from "./sessions.mjs";
import { number, times } from "./text.mjs";

const docs = documents(0, 5_000);

test("documents have 14 fields, about 460 bytes, and nothing twice that must be unique", () => {
  assert.ok(docs.every((doc) => Object.keys(doc).length === 14));
  const bytes = docs.reduce((sum, doc) => sum + JSON.stringify(doc).length, 0) / docs.length;
  assert.ok(bytes > 440 && bytes < 480, `${bytes} bytes`);
  for (const key of ["id", "createdAt"]) assert.equal(new Set(docs.map((doc) => doc[key])).size, docs.length);
  assert.deepEqual(documents(17, 18), [docs[17]]);
});

test("the expected answers are what the questions ask for", () => {
  const ask = question(3);
  const rows = expectedPage(docs, ask).map((id) => docs.find((doc) => doc.id === id));
  assert.equal(rows.length, ask.limit);
  assert.ok(rows.every((doc) => doc.status === ask.status && doc.amount > ask.amount));
  assert.ok(rows.every((doc, at) => at === 0 || doc.createdAt < rows[at - 1].createdAt));
  const [[id, sum], ...rest] = expectedRollup(docs);
  const own = docs.filter((doc) => doc.customerId === id).reduce((all, doc) => all + doc.amount, 0);
  assert.ok(sum === own && rest.every(([, other]) => other <= sum));
  assert.ok(expectedJoin(docs, "open").every(([, name]) => name.endsWith(" Ltd")));
  assert.equal(canonical({ b: [1, { y: 1, x: null }], a: undefined }), '{"b":[1,{"x":null,"y":1}]}');
});

test("numbers are read as a person reads them", () => {
  assert.deepEqual([median([3, 1, 2]), median([4, 1, 2, 3]), quantile([1, 2, 3, 4], 0.99)], [2, 2.5, 4]);
  assert.deepEqual([1_234_567, 123.4, 12.34, 0.0123, NaN].map(number), ["1,230,000", "123", "12.3", "0.012", "–"]);
  assert.deepEqual([12.34, 0.634, Infinity].map(times), ["12 x", "0.63 x", "–"]);
});

test("a curve's growth is the power that fits it", () => {
  const counts = [10_000, 30_000, 100_000, 300_000];
  for (const power of [0, 0.5, 1, 2]) {
    const grows = growthOf(counts.map((count) => [count, 3 * count ** power]));
    assert.ok(Math.abs(grows - power) < 1e-9, `${grows}`);
  }
});

test("words choose adapters, sessions and figures", () => {
  const known = { adapters: ["dexie", "tidewire"], sessions: SESSIONS };
  const whole = optionsOf([], known);
  assert.ok(whole.whole && whole.sizes.rounds === 5);
  const some = optionsOf(["--quick", "--only", "dexie,cold-get", "--sizes", "large=7"], known);
  assert.deepEqual([some.adapters, some.sessions, some.sizes.large, some.whole], [["dexie"], ["open"], 7, false]);
  const names = (words) => optionsOf(words, known).sessions;
  assert.ok(whole.sessions.includes("curve") && !names(["--quick"]).includes("curve"));
  assert.deepEqual(names(["--quick", "--only", "curve"]), ["curve"]);
  const short = optionsOf(["--without", "curve,pull"], known);
  assert.ok(!short.whole && short.sessions.length === whole.sessions.length - 2);
  assert.match(optionsOf(["--without", "dexie"], known).problem, /Nothing is called dexie/);
  assert.match(optionsOf(["--only", "mongo"], known).problem, /Nothing is called mongo/);
  assert.match(optionsOf(["--fast"], known).problem, /npm run bench/);
});

test("a run goes on from an earlier one of the same commit and sizes", () => {
  const about = { adapters: ["tidewire"], sessions: ["bulk"], began: "then" };
  const run = (commit, sizes) => new Results({ commit, sizes, ...about });
  const first = run("abc", { large: 5, rounds: 1 });
  first.record("bulk-insert", "tidewire", "strict", 1);
  const later = run("abc", { large: 5, rounds: 4 });
  assert.equal(later.goOnFrom(JSON.parse(JSON.stringify(first.data))), undefined);
  later.record("bulk-insert", "tidewire", "strict", 3);
  assert.deepEqual(later.data.samples["bulk-insert"].strict.tidewire, [1, 3]);
  assert.match(run("abd", { large: 5, rounds: 1 }).goOnFrom(first.data), /measured at abc/);
  assert.match(run("abc", { large: 6, rounds: 1 }).goOnFrom(first.data), /other sizes/);
});

test("the report compares medians, says what is asked, what is lacking and what failed", () => {
  const out = mkdtempSync(path.join(os.tmpdir(), "tidewire-bench-test-"));
  const about = { loadBefore: [1, 1, 1], whole: true, began: "then", machine: "one", chromium: "1", node: "20" };
  const results = new Results({
    ...about,
    sizes: SIZES.full,
    adapters: ["dexie", "indexeddb", "tidewire"],
    sessions: [],
  });
  const names = { dexie: "Dexie", indexeddb: "raw IndexedDB", tidewire: "Tidewire" };
  for (const [adapter, name] of Object.entries(names))
    results.describe(adapter, { name, versions: {}, durabilities: [] });
  for (const rate of [90_000, 100_000, 120_000]) results.record("bulk-insert", "tidewire", "strict", rate);
  results.record("bulk-insert", "indexeddb", "strict", 8_000);
  results.record("bulk-insert", "dexie", "strict", 40_000);
  results.record("rollup", "dexie", "", 30);
  results.lacks("rollup", "tidewire");
  for (const [count, ms] of [[10_000, 0.1], [100_000, 1]]) results.point("page", "tidewire", count, ms);
  results.fail("open", "dexie", "", new Error("wrong result: a | b"));
  assert.throws(() => results.record("rollup", "tidewire", "", NaN));
  results.finish([2, 2, 2]);
  writeReport(out, results.data);
  const text = readFileSync(path.join(out, "RESULTS.md"), "utf8");
  results.data.about.slowOnce = 40;
  writeReport(out, results.data);
  assert.match(readFileSync(path.join(out, "RESULTS.md"), "utf8"), /\| Dexie \(1 of 3\) \| 40,000 \|/);
  assert.match(text, /\| 100,000 \| Dexie 40,000 \| 2.5 x \| ≥ 120,000 .*\| no, 1.2 x away \|/);
  assert.match(text, /\| \*\*Tidewire\*\* \| 100,000 \| 90,000 \| 120,000 \|/);
  assert.match(text, /\| \*\*Tidewire\*\* \| 0.1 \| 1 \| 1.00 \|/);
  assert.match(text, /Tidewire: not there yet/);
  assert.match(text, /\| not there yet \| Dexie 30 \|/);
  assert.match(text, /\| open \| Dexie \| wrong result: a \/ b \|/);
  assert.match(readFileSync(path.join(out, "charts", "writes.svg"), "utf8"), /^<svg [^]*<\/svg>\n$/);
  rmSync(out, { recursive: true });
});
