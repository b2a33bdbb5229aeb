/** PowerSync's local rows: its SQLite, its views and its queue of uploads, without a service. */
import { column, Schema, Table } from "@powersync/common";
import { PowerSyncDatabase, WASQLiteVFS } from "@powersync/web";
import { JOINED_ROWS } from "../documents.js";
import { COLUMNS, documentOf, parametersOf, SQL, typeOf, updateOf, updateParameters } from "./sql/orders.js";

export const about = {
  name: "PowerSync",
  packages: ["@powersync/web", "@powersync/common", "@journeyapps/wa-sqlite"],
  docs: "https://docs.powersync.com/client-sdks/reference/javascript-web-storage",
  setting: "OPFSCoopSyncVFS, executeBatch, index on status and createdAt, statements cached, watch with throttleMs 0",
  storage: "OPFS",
  durabilities: ["strict"],
};

const kind = (name) => (typeOf(name) === "INTEGER" ? column.integer : column.text);
const columns = Object.fromEntries(COLUMNS.filter((name) => name !== "id").map((name) => [name, kind(name)]));
const schema = new Schema({
  orders: new Table(columns, { indexes: { newest: ["status", "-createdAt"] } }),
  customers: new Table({ name: column.text, region: column.text }),
});

export async function open({ name }) {
  const vfs = WASQLiteVFS.OPFSCoopSyncVFS;
  const db = new PowerSyncDatabase({
    schema,
    database: { dbFilename: `${name}.db`, vfs, preparedStatementsCache: 20 },
  });
  await db.init();
  const batch = (sql, lists) => db.writeTransaction((tx) => tx.executeBatch(sql, lists));
  const page = async ({ status, amount, limit }) =>
    (await db.getAll(SQL.page, [status, amount, limit])).map(documentOf);
  return {
    insert: (doc) => db.execute(SQL.insert, parametersOf(doc)),
    insertMany: (docs) => batch(SQL.insert, docs.map(parametersOf)),
    insertCustomers: (docs) =>
      batch(
        SQL.insertCustomer,
        docs.map((doc) => [doc.id, doc.name, doc.region]),
      ),
    patch: (id, changes) => db.execute(updateOf(changes), updateParameters(id, changes)),
    patchMany: (list) =>
      batch(
        updateOf(list[0][1]),
        list.map(([id, changes]) => updateParameters(id, changes)),
      ),
    get: async (id) => documentOf(await db.get(SQL.get, [id])),
    page,
    live: ({ status, amount, limit }, fn) => live(db, [status, amount, limit], fn),
    countBy: async () => Object.fromEntries((await db.getAll(SQL.countBy)).map((row) => [row.status, row.count])),
    rollup: async () => (await db.getAll(SQL.rollup)).map((row) => [row.customerId, row.total]),
    joined: async (status) => (await db.getAll(SQL.joined, [status, JOINED_ROWS])).map((row) => [row.id, row.name]),
  };
}

function live(db, parameters, fn) {
  const stopped = new AbortController();
  const onResult = (result) => fn(result.array.map(documentOf));
  db.watch(SQL.page, parameters, { onResult }, { throttleMs: 0, signal: stopped.signal });
  return () => stopped.abort();
}
