/** Opens databases with the real module and a store in memory, over a backend. */
import { readFileSync } from "node:fs";
import { openWith } from "../../dist/db.js";
import { wasmFactory } from "../../dist/wasm/client.js";

const anything = { "~standard": { version: 1, vendor: "tests", validate: (value) => ({ value }) } };
const [main, more] = ["tidewire", "tidewire-more"].map((name) =>
  readFileSync(new URL(`../../dist/${name}.wasm`, import.meta.url)),
);
const factory = wasmFactory({ main, more });
let count = 0;

/** A device. `conflict` and the like are the settings of its collection `todos`. */
export function device(backend, { settings = {}, ...options } = {}) {
  const collections = { todos: { schema: anything, options: settings }, notes: anything };
  const name = `backend${(count += 1)}`;
  const retry = { initialMs: 20, maxMs: 100 };
  const usual = { name, storage: "memory", retry, pollMs: { visible: 100 } };
  return openWith({ ...usual, backend, collections, ...options }, factory);
}

/** Waits until nothing is pending and the last pull has come. */
export async function synced(db, timeoutMs = 10_000) {
  await until(`synced: ${JSON.stringify(db.sync.status.peek())}`, async () => {
    const status = await db.sync.status.get();
    const queue = await db.sync.queue.get();
    return status.state === "synced" && status.pending === 0 && queue.pending.length === 0;
  }, timeoutMs);
}

/** Waits until something holds. */
export async function until(what, holds, timeoutMs = 10_000) {
  const end = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Rows as plain data, by id. */
export async function rows(db, collection = "todos") {
  const all = await db[collection].where({}).get();
  const isData = ([key]) => key !== "id" && !key.startsWith("$");
  const plain = (row) => Object.fromEntries(Object.entries(row).filter(isData));
  return new Map(all.map((row) => [row.id, plain(row)]).sort(([a], [b]) => (a < b ? -1 : 1)));
}
