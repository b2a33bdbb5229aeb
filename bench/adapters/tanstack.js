/** TanStack DB with its IndexedDB collections: all rows in memory, written through. */
import {
  BTreeIndex,
  count,
  createCollection,
  createIndexedDB,
  createLiveQueryCollection,
  eq,
  gt,
  indexedDBCollectionOptions,
  queryOnce,
  sum,
} from "@tanstack/db";
import { JOINED_ROWS, topCustomers } from "../documents.js";

export const about = {
  name: "TanStack DB",
  packages: ["@tanstack/db"],
  docs: "https://tanstack.com/db/latest/docs/collections/indexeddb-collection",
  setting: "IndexedDB collection, isPersisted awaited, B-tree index on createdAt, queries by its query builder",
  storage: "IndexedDB",
  durabilities: ["relaxed"],
};

export async function open({ name }) {
  const db = await createIndexedDB({ name, version: 1, stores: ["orders", "customers"] });
  const getKey = (item) => item.id;
  const made = (store) => createCollection(indexedDBCollectionOptions({ db, name: store, id: store, getKey }));
  const [orders, customers] = [made("orders"), made("customers")];
  orders.createIndex((row) => row.createdAt, { indexType: BTreeIndex });
  await Promise.all([orders.preload(), customers.preload()]);
  return { ...writesOf(orders, customers), ...readsOf(orders, customers) };
}

function writesOf(orders, customers) {
  const patchMany = (list) => {
    const ids = list.map(([id]) => id);
    const change = (drafts) => drafts.forEach((draft, at) => Object.assign(draft, list[at][1]));
    return orders.update(ids, change).isPersisted.promise;
  };
  return {
    insert: (doc) => orders.insert(doc).isPersisted.promise,
    insertMany: (docs) => orders.insert(docs).isPersisted.promise,
    insertCustomers: (docs) => customers.insert(docs).isPersisted.promise,
    patch: (id, changes) => orders.update(id, (draft) => void Object.assign(draft, changes)).isPersisted.promise,
    patchMany,
  };
}

function readsOf(orders, customers) {
  const page =
    ({ status, amount, limit }) =>
    (q) =>
      q
        .from({ order: orders })
        .where(({ order }) => eq(order.status, status))
        .where(({ order }) => gt(order.amount, amount))
        .orderBy(({ order }) => order.createdAt, "desc")
        .limit(limit);
  return {
    get: (id) => orders.get(id),
    page: (ask) => queryOnce(page(ask)),
    live: async (ask, fn) => {
      const query = createLiveQueryCollection(page(ask));
      await query.preload();
      const tell = () => fn(query.toArray);
      const subscription = query.subscribeChanges(tell);
      tell();
      return () => subscription.unsubscribe();
    },
    ...aggregatesOf(orders, customers),
  };
}

function aggregatesOf(orders, customers) {
  return {
    countBy: async () => {
      const groups = await queryOnce((q) =>
        q
          .from({ order: orders })
          .groupBy(({ order }) => order.status)
          .select(({ order }) => ({ status: order.status, count: count(order.id) })),
      );
      return Object.fromEntries(groups.map((group) => [group.status, group.count]));
    },
    rollup: async () => {
      const groups = await queryOnce((q) =>
        q
          .from({ order: orders })
          .groupBy(({ order }) => order.customerId)
          .select(({ order }) => ({ id: order.customerId, total: sum(order.amount) })),
      );
      return topCustomers(groups.map(({ id, total }) => [id, total]));
    },
    joined: async (status) => {
      const rows = await queryOnce((q) =>
        q
          .from({ order: orders })
          .innerJoin({ customer: customers }, ({ order, customer }) => eq(order.customerId, customer.id))
          .where(({ order }) => eq(order.status, status))
          .orderBy(({ order }) => order.createdAt, "desc")
          .limit(JOINED_ROWS)
          .select(({ order, customer }) => ({ id: order.id, name: customer.name, createdAt: order.createdAt })),
      );
      return rows.map(({ id, name }) => [id, name]);
    },
  };
}
