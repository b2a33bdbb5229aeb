/** TinyBase with its IndexedDB persister: the store is in memory, and saved whole. */
import { createIndexes, createQueries, createStore } from "tinybase";
import { createIndexedDbPersister } from "tinybase/persisters/persister-indexed-db";
import { JOINED_ROWS, topCustomers } from "../documents.js";

export const about = {
  name: "TinyBase",
  packages: ["tinybase"],
  docs: "https://tinybase.org/guides/persistence/database-persistence/",
  setting: "IndexedDB persister, save() awaited, an index by status sorted by createdAt, objects and arrays as cells",
  storage: "IndexedDB",
  durabilities: ["relaxed"],
};

export async function open({ name }) {
  const store = createStore();
  const persister = createIndexedDbPersister(store, name);
  await persister.load();
  const indexes = createIndexes(store);
  indexes.setIndexDefinition("newest", "orders", "status", "createdAt", undefined, (a, b) => b - a);
  return { ...writesOf(store, persister), ...readsOf(store, indexes), store };
}

function writesOf(store, persister) {
  const put = (table) => async (docs) => {
    store.transaction(() => docs.forEach((doc) => store.setRow(table, doc.id, doc)));
    await persister.save();
  };
  const patchMany = async (list) => {
    store.transaction(() => list.forEach(([id, changes]) => store.setPartialRow("orders", id, changes)));
    await persister.save();
  };
  return {
    insert: (doc) => put("orders")([doc]),
    insertMany: put("orders"),
    insertCustomers: put("customers"),
    patch: (id, changes) => patchMany([[id, changes]]),
    patchMany,
  };
}

function readsOf(store, indexes) {
  const page = ({ status, amount, limit }) => {
    const rows = [];
    for (const id of indexes.getSliceRowIds("newest", status)) {
      if (store.getCell("orders", id, "amount") <= amount) continue;
      rows.push(store.getRow("orders", id));
      if (rows.length === limit) break;
    }
    return rows;
  };
  return {
    get: (id) => store.getRow("orders", id),
    page,
    live: (ask, fn) => live(store, ask, fn),
    countBy: () => {
      const statuses = indexes.getSliceIds("newest");
      return Object.fromEntries(statuses.map((status) => [status, indexes.getSliceRowIds("newest", status).length]));
    },
    rollup: () => {
      const sums = new Map();
      store.forEachRow("orders", (id) => {
        const parent = store.getCell("orders", id, "customerId");
        sums.set(parent, (sums.get(parent) ?? 0) + store.getCell("orders", id, "amount"));
      });
      return topCustomers(sums);
    },
    joined: (status) =>
      indexes
        .getSliceRowIds("newest", status)
        .slice(0, JOINED_ROWS)
        .map((id) => [id, store.getCell("customers", store.getCell("orders", id, "customerId"), "name")]),
  };
}

function live(store, { status, amount, limit }, fn) {
  const queries = createQueries(store);
  queries.setQueryDefinition("page", "orders", ({ select, where }) => {
    for (const cell of ["id", "title", "createdAt"]) select(cell);
    where("status", status);
    where((cell) => cell("amount") > amount);
  });
  const tell = () => {
    const ids = queries.getResultSortedRowIds("page", "createdAt", true, 0, limit);
    fn(ids.map((id) => store.getRow("orders", id)));
  };
  queries.addResultTableListener("page", tell);
  tell();
  return () => queries.destroy();
}
