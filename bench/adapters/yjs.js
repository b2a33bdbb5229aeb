/** Yjs with y-indexeddb: a map of maps, so that two people can edit two fields of one document. */
import { IndexeddbPersistence } from "y-indexeddb";
import * as Y from "yjs";
import { JOINED_ROWS, topCustomers } from "../documents.js";

export const about = {
  name: "Yjs + y-indexeddb",
  packages: ["yjs", "y-indexeddb"],
  docs: "https://docs.yjs.dev/ecosystem/database-provider/y-indexeddb",
  setting: "one Y.Map for each document, one transaction for each call, whenSynced",
  storage: "IndexedDB",
  durabilities: ["relaxed"],
};

export async function open({ name, sync }) {
  const doc = new Y.Doc();
  const persistence = new IndexeddbPersistence(name, doc);
  await persistence.whenSynced;
  const orders = doc.getMap("orders");
  const customers = doc.getMap("customers");
  const write = async (work) => {
    doc.transact(work);
    await stored(persistence);
  };
  return {
    ...writesOf(write, orders, customers),
    ...readsOf(orders, customers),
    ...(sync && syncOf(doc, persistence, orders, sync)),
  };
}

/** y-indexeddb tells nobody when an update is stored. A later transaction of the same store begins when it is. */
async function stored(persistence) {
  const transaction = persistence.db.transaction("updates", "readonly");
  await new Promise((resolve, reject) => {
    const request = transaction.objectStore("updates").getKey(0);
    request.onsuccess = resolve;
    request.onerror = () => reject(request.error);
  });
}

const mapOf = (doc) => new Y.Map(Object.entries(doc));

function writesOf(write, orders, customers) {
  const put = (map) => (docs) => write(() => docs.forEach((doc) => map.set(doc.id, mapOf(doc))));
  const patchOne = (id, changes) => {
    const row = orders.get(id);
    for (const [key, value] of Object.entries(changes)) row.set(key, value);
  };
  return {
    insert: (doc) => put(orders)([doc]),
    insertMany: put(orders),
    insertCustomers: put(customers),
    patch: (id, changes) => write(() => patchOne(id, changes)),
    patchMany: (list) => write(() => list.forEach(([id, changes]) => patchOne(id, changes))),
  };
}

function readsOf(orders, customers) {
  const page = ({ status, amount, limit }) => {
    const found = [];
    for (const row of orders.values()) {
      if (row.get("status") === status && row.get("amount") > amount) found.push(row);
    }
    return found
      .sort((a, b) => b.get("createdAt") - a.get("createdAt"))
      .slice(0, limit)
      .map((row) => row.toJSON());
  };
  return {
    get: (id) => orders.get(id).toJSON(),
    page,
    live: (ask, fn) => {
      const tell = () => fn(page(ask));
      orders.observeDeep(tell);
      tell();
      return () => orders.unobserveDeep(tell);
    },
    countBy: () => {
      const counts = {};
      for (const row of orders.values()) counts[row.get("status")] = (counts[row.get("status")] ?? 0) + 1;
      return counts;
    },
    rollup: () => {
      const sums = new Map();
      for (const row of orders.values()) {
        const parent = row.get("customerId");
        sums.set(parent, (sums.get(parent) ?? 0) + row.get("amount"));
      }
      return topCustomers(sums);
    },
    joined: (status) =>
      page({ status, amount: -1, limit: JOINED_ROWS }).map((row) => [
        row.id,
        customers.get(row.customerId).get("name"),
      ]),
  };
}

function syncOf(doc, persistence, orders, { url, room }) {
  let provider;
  const synced = Promise.withResolvers();
  return {
    // Each document is a write of its own.
    queue: async (docs) => {
      for (const one of docs) doc.transact(() => orders.set(one.id, mapOf(one)));
      await stored(persistence);
    },
    goOnline: async () => {
      const { WebsocketProvider } = await import("y-websocket");
      provider = new WebsocketProvider(url, room, doc);
      provider.on("sync", (done) => done && synced.resolve());
    },
    pulled: async (count, onFirst) => {
      orders.observe(onFirst);
      await synced.promise;
      orders.unobserve(onFirst);
      await stored(persistence);
      if (orders.size !== count)
        throw new Error(`wrong result: ${orders.size} of ${count} documents after the first sync`);
    },
    watchOne: (id, fn) => orders.get(id).observe(() => fn(orders.get(id).toJSON())),
  };
}
