/**
 * Drains 10,000 writes to a REST server in this process, and prints what was measured as JSON. A process of its own:
 * the hooks of node's test runner cost more than the work.
 *
 *     node drain.mjs <writes> <concurrency> <interval in ms>
 */
import { restBackend } from "../../examples/dist/backends/rest-etag.js";
import { inc } from "../../dist/index.js";
import { device } from "./open.mjs";
import { startRest } from "./rest-server.mjs";

const [writes, concurrency, minIntervalMs] = process.argv.slice(2).map(Number);
/** So many entities get two increments, which commute and are never joined. */
const TWICE = 1_000;

const rest = await startRest({ latencyMs: 4 });
const backend = restBackend(rest.url);
// The starts as they leave: on the way two requests can come closer together.
const starts = [];
const noted = (call) => (request) => (starts.push(performance.now()), call(request));
const timed = { ...backend, pull: noted(backend.pull), push: noted(backend.push) };
const db = device(timed, { rate: { minIntervalMs, concurrency } });

await db.sync.pause();
const ids = await db.todos.insertMany(Array.from({ length: writes - 2 * TWICE }, (_, n) => ({ n, votes: 0 })));
const some = ids.slice(0, TWICE);
for (const by of [1, 10]) {
  // A transaction has at most 500 edits.
  for (const part of [some.slice(0, 500), some.slice(500)])
    await db.transaction((tx) => part.map((id) => tx.todos.update(id, { votes: inc(by) })));
}
const began = performance.now();
await db.sync.resume();
const { failed } = await db.sync.done({ timeoutMs: 300_000 });

const votes = new Map(some.map((id) => [id, []]));
for (const { id, value } of rest.writes) votes.get(id)?.push(value.votes);
console.log(
  JSON.stringify({
    failed,
    writes: rest.writes.length,
    edits: new Set(rest.writes.map(({ key }) => key)).size,
    outOfOrder: [...votes.values()].filter((each) => String(each) !== "0,1,11"),
    most: rest.most,
    mostForOne: rest.mostForOne,
    leastGapMs: starts.slice(1).reduce((least, at, index) => Math.min(least, at - starts[index]), Infinity),
    tookMs: Math.round(performance.now() - began),
    calls: starts.length,
  }),
);
await db.close();
await rest.close();
