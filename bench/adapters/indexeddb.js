/** IndexedDB without a library: one record per document, and the best index for the page. */
import { JOINED_ROWS, topCustomers } from "../documents.js";

export const about = {
  name: "raw IndexedDB",
  docs: "https://developer.mozilla.org/en-US/docs/Web/API/IDBDatabase/transaction",
  setting: "one transaction for each call, commit() at once, compound index [status, createdAt] read backwards",
  storage: "IndexedDB",
  durabilities: ["strict", "relaxed"],
};

/** Rows read at a time while a page is searched. */
const BATCH = 100;

const promised = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const complete = (transaction) =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });

export async function open({ name, durability }) {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => {
    const orders = request.result.createObjectStore("orders", { keyPath: "id" });
    orders.createIndex("newest", ["status", "createdAt"]);
    request.result.createObjectStore("customers", { keyPath: "id" });
  };
  const db = await promised(request);
  const begin = (mode, store = "orders") => db.transaction(store, mode, { durability });
  const putAll = (docs, store) => {
    const transaction = begin("readwrite", store);
    const orders = transaction.objectStore(store);
    for (const doc of docs) orders.put(doc);
    transaction.commit();
    return complete(transaction);
  };
  return {
    insert: (doc) => putAll([doc], "orders"),
    insertMany: (docs) => putAll(docs, "orders"),
    insertCustomers: (docs) => putAll(docs, "customers"),
    patch: (id, changes) => patchAll(begin("readwrite"), [[id, changes]]),
    patchMany: (list) => patchAll(begin("readwrite"), list),
    get: (id) => promised(begin("readonly").objectStore("orders").get(id)),
    page: (ask) => page(begin("readonly").objectStore("orders").index("newest"), ask),
    countBy: () => countBy(begin("readonly").objectStore("orders").index("newest")),
    rollup: async () => rollup(await promised(begin("readonly").objectStore("orders").getAll())),
    joined: (status) => joined(db, status),
  };
}

function patchAll(transaction, list) {
  const store = transaction.objectStore("orders");
  for (const [id, changes] of list) {
    const request = store.get(id);
    request.onsuccess = () => store.put({ ...request.result, ...changes });
  }
  return complete(transaction);
}

async function page(index, { status, amount, limit }) {
  const rows = [];
  let before = Infinity;
  while (rows.length < limit) {
    const query = IDBKeyRange.bound([status, -Infinity], [status, before], false, true);
    const batch = await promised(index.getAll({ query, count: BATCH, direction: "prev" }));
    rows.push(...batch.filter((doc) => doc.amount > amount));
    if (batch.length < BATCH) break;
    before = batch.at(-1).createdAt;
  }
  return rows.slice(0, limit);
}

async function countBy(index) {
  const counts = ["open", "packed", "sent", "closed"].map(async (status) => {
    return [status, await promised(index.count(IDBKeyRange.bound([status, -Infinity], [status, Infinity])))];
  });
  return Object.fromEntries(await Promise.all(counts));
}

function rollup(docs) {
  const sums = new Map();
  for (const { customerId, amount } of docs) sums.set(customerId, (sums.get(customerId) ?? 0) + amount);
  return topCustomers(sums);
}

async function joined(db, status) {
  const transaction = db.transaction(["orders", "customers"]);
  const query = IDBKeyRange.bound([status, -Infinity], [status, Infinity]);
  const index = transaction.objectStore("orders").index("newest");
  const rows = await promised(index.getAll({ query, count: JOINED_ROWS, direction: "prev" }));
  const customers = transaction.objectStore("customers");
  return Promise.all(rows.map(async (row) => [row.id, (await promised(customers.get(row.customerId))).name]));
}
