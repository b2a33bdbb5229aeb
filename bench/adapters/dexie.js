/** Dexie, with bulk operations and the best index for the page. */
import { Dexie, liveQuery } from "dexie";
import { JOINED_ROWS, topCustomers } from "../documents.js";

export const about = {
  name: "Dexie",
  packages: ["dexie"],
  docs: "https://dexie.org/docs/Compound-Index",
  setting: "bulkPut and bulkUpdate, compound index [status+createdAt], chromeTransactionDurability",
  storage: "IndexedDB",
  durabilities: ["strict", "relaxed"],
};

export async function open({ name, durability }) {
  const db = new Dexie(name, { chromeTransactionDurability: durability });
  db.version(1).stores({ orders: "id,[status+createdAt]", customers: "id" });
  await db.open();
  const page = ({ status, amount, limit }) =>
    db.orders
      .where("[status+createdAt]")
      .between([status, Dexie.minKey], [status, Dexie.maxKey])
      .reverse()
      .filter((doc) => doc.amount > amount)
      .limit(limit)
      .toArray();
  return {
    insert: (doc) => db.orders.put(doc),
    insertMany: (docs) => db.orders.bulkPut(docs),
    insertCustomers: (docs) => db.customers.bulkPut(docs),
    patch: (id, changes) => db.orders.update(id, changes),
    patchMany: (list) => db.orders.bulkUpdate(list.map(([key, changes]) => ({ key, changes }))),
    get: (id) => db.orders.get(id),
    page,
    live: (ask, fn) => {
      const subscription = liveQuery(() => page(ask)).subscribe(fn);
      return () => subscription.unsubscribe();
    },
    countBy: () => countBy(db),
    rollup: () => rollup(db),
    joined: (status) => joined(db, status),
  };
}

async function countBy(db) {
  const count = (status) =>
    db.orders.where("[status+createdAt]").between([status, Dexie.minKey], [status, Dexie.maxKey]).count();
  const statuses = ["open", "packed", "sent", "closed"];
  return Object.fromEntries(await Promise.all(statuses.map(async (status) => [status, await count(status)])));
}

async function rollup(db) {
  const sums = new Map();
  for (const { customerId, amount } of await db.orders.toArray())
    sums.set(customerId, (sums.get(customerId) ?? 0) + amount);
  return topCustomers(sums);
}

async function joined(db, status) {
  const range = [
    [status, Dexie.minKey],
    [status, Dexie.maxKey],
  ];
  const rows = await db.orders
    .where("[status+createdAt]")
    .between(...range)
    .reverse()
    .limit(JOINED_ROWS)
    .toArray();
  const parents = await db.customers.bulkGet(rows.map((row) => row.customerId));
  return rows.map((row, at) => [row.id, parents[at].name]);
}
