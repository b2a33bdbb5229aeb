/** SQLite's own WebAssembly build in a worker, on the pool of access handles. */
import { JOINED_ROWS } from "../documents.js";
import { documentOf, parametersOf, SQL, updateOf, updateParameters } from "./sql/orders.js";

export const about = {
  name: "SQLite wasm on OPFS",
  packages: ["@sqlite.org/sqlite-wasm"],
  docs: "https://sqlite.org/wasm/doc/trunk/persistence.md#vfs-opfs-sahpool",
  setting: "opfs-sahpool, exclusive lock, covering index, prepared statements; strict: FULL, relaxed: WAL and NORMAL",
  storage: "OPFS",
  durabilities: ["strict", "relaxed"],
};

export async function open({ name, durability }) {
  const worker = new Worker(new URL("./sql/worker.js", import.meta.url), { type: "module" });
  const ask = questions(worker);
  const mode = await ask("open", { name, durability });
  if (mode !== (durability === "strict" ? "truncate" : "wal")) throw new Error(`the journal mode is ${mode}`);
  const run = (sql, lists) => ask("run", { sql, lists });
  const rows = (sql, list = []) => ask("rows", { sql, list });
  return {
    insert: (doc) => run(SQL.insert, [parametersOf(doc)]),
    insertMany: (docs) => run(SQL.insert, docs.map(parametersOf)),
    insertCustomers: (docs) =>
      run(
        SQL.insertCustomer,
        docs.map((doc) => [doc.id, doc.name, doc.region]),
      ),
    patch: (id, changes) => run(updateOf(changes), [updateParameters(id, changes)]),
    patchMany: (list) =>
      run(
        updateOf(list[0][1]),
        list.map(([id, changes]) => updateParameters(id, changes)),
      ),
    get: async (id) => documentOf((await rows(SQL.get, [id]))[0]),
    page: async ({ status, amount, limit }) => (await rows(SQL.page, [status, amount, limit])).map(documentOf),
    countBy: async () => Object.fromEntries((await rows(SQL.countBy)).map((row) => [row.status, row.count])),
    rollup: async () => (await rows(SQL.rollup)).map((row) => [row.customerId, row.total]),
    joined: async (status) => (await rows(SQL.joined, [status, JOINED_ROWS])).map((row) => [row.id, row.name]),
  };
}

/** Numbers the messages, so that answers find their questions. */
function questions(worker) {
  const open = new Map();
  let last = 0;
  worker.onmessage = ({ data: { id, answer, error } }) => {
    const { resolve, reject } = open.get(id);
    open.delete(id);
    if (error === undefined) resolve(answer);
    else reject(new Error(error));
  };
  return (operation, given) =>
    new Promise((resolve, reject) => {
      last += 1;
      open.set(last, { resolve, reject });
      worker.postMessage({ id: last, operation, given });
    });
}
