/** `rate`: how fast a backend is called, measured by the server that is called. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { restBackend } from "../examples/dist/backends/rest-etag.js";
import { Gate } from "../dist/backend/gate.js";
import { device, synced } from "./backend/open.mjs";
import { startRest } from "./backend/rest-server.mjs";

const WRITES = 10_000;
const CONCURRENCY = 4;
const INTERVAL_MS = 1;

test("10,000 writes drain at the rate that was asked for, each once, and those of one entity in order", async () => {
  const script = fileURLToPath(new URL("backend/drain.mjs", import.meta.url));
  const words = [script, WRITES, CONCURRENCY, INTERVAL_MS].map(String);
  const { stdout } = await promisify(execFile)(process.execPath, words);
  const { leastGapMs, tookMs, calls, ...rest } = JSON.parse(stdout);
  console.log(`${WRITES} writes in ${tookMs} ms, ${calls} calls`);
  const once = { writes: WRITES, edits: WRITES, failed: 0, outOfOrder: [] };
  assert.deepEqual(rest, { ...once, most: CONCURRENCY, mostForOne: 1 });
  assert.ok(leastGapMs >= INTERVAL_MS, `${leastGapMs} ms between two starts`);
});

test("a wait that is longer than the time limit of a request ends neither a push nor a pull", async () => {
  const rest = await startRest();
  rest.put("todos", "theirs", { n: 0 });
  const rate = { minIntervalMs: 1_300, concurrency: 1 };
  const db = device(restBackend(rest.url), { pollMs: { visible: 5_000 }, timeoutMs: 1_000, rate });
  try {
    await db.todos.insertMany([{ n: 1 }, { n: 2 }]);
    await synced(db, 60_000);
    assert.equal(rest.all("todos").size, 3);
    assert.equal((await db.sync.metrics.get()).failures, 0);
  } finally {
    await db.close();
    await rest.close();
  }
});

test("reads and writes take turns, and what is aborted in the line is not done", async () => {
  const gate = new Gate({ concurrency: 1 });
  const { signal } = new AbortController();
  const done = [];
  let open;
  const first = gate.run("write", signal, () => new Promise((resolve) => (open = resolve)));
  const writes = ["w1", "w2"].map((name) => gate.run("write", signal, async () => done.push(name)));
  const cancel = new AbortController();
  const gone = gate.run("write", cancel.signal, async () => done.push("gone"));
  const reads = ["r1", "r2"].map((name) => gate.run("read", signal, async () => done.push(name)));
  const late = gate.run("write", cancel.signal, async () => done.push("gone"));
  cancel.abort();
  gate.sweep();
  assert.deepEqual(await Promise.all([gone, late]), [undefined, undefined]);
  open();
  await Promise.all([first, ...writes, ...reads]);
  assert.deepEqual(done, ["r1", "w1", "r2", "w2"], "neither can keep the other from its turn");
});
