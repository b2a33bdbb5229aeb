/** RxDB on its free storage for browsers, without development mode. */
import { createRxDatabase } from "rxdb/plugins/core";
import { getRxStorageDexie } from "rxdb/plugins/storage-dexie";
import { JOINED_ROWS, topCustomers } from "../documents.js";

export const about = {
  name: "RxDB",
  packages: ["rxdb", "rxjs"],
  docs: "https://rxdb.info/rx-storage-dexie.html",
  setting: "Dexie storage, bulkInsert, incrementalPatch (batched by RxDB), compound index [status, createdAt]",
  storage: "IndexedDB",
  durabilities: ["strict", "relaxed"],
};

const text = { type: "string", maxLength: 200 };
const time = { type: "number", minimum: 0, maximum: 4_102_444_800_000, multipleOf: 1 };

/** The schema, with what RxDB needs to know of indexed fields. */
export const orders = {
  version: 0,
  primaryKey: "id",
  type: "object",
  properties: {
    id: { type: "string", maxLength: 40 },
    customerId: text,
    title: text,
    status: { type: "string", maxLength: 10 },
    amount: { type: "number" },
    currency: text,
    createdAt: time,
    updatedAt: time,
    owner: text,
    priority: { type: "number" },
    done: { type: "boolean" },
    tags: { type: "array", items: { type: "string" } },
    address: { type: "object", properties: { street: text, city: text, zip: text } },
    note: { type: "string" },
  },
  required: ["id", "status", "createdAt"],
  indexes: [["status", "createdAt"]],
};

const customers = {
  version: 0,
  primaryKey: "id",
  type: "object",
  properties: { id: { type: "string", maxLength: 40 }, name: text, region: text },
  required: ["id"],
};

export async function open({ name, durability, sync }) {
  const storage = getRxStorageDexie({ chromeTransactionDurability: durability });
  const db = await createRxDatabase({ name, storage, multiInstance: true });
  const made = await db.addCollections({ orders: { schema: orders }, customers: { schema: customers } });
  return { ...writesOf(made), ...readsOf(made), ...(sync && syncOf(made.orders, sync)) };
}

function writesOf({ orders: collection, customers: parents }) {
  return {
    insert: (doc) => collection.insert(doc),
    insertMany: (docs) => all(collection.bulkInsert(docs)),
    insertCustomers: (docs) => all(parents.bulkInsert(docs)),
    patch: async (id, changes) => (await collection.findOne(id).exec()).incrementalPatch(changes),
    patchMany: async (list) => {
      const found = await collection.findByIds(list.map(([id]) => id)).exec();
      await Promise.all(list.map(([id, changes]) => found.get(id).incrementalPatch(changes)));
    },
  };
}

async function all(writing) {
  const { error } = await writing;
  if (error.length > 0) throw new Error(`RxDB refused ${error.length} documents: ${JSON.stringify(error[0])}`);
}

function readsOf({ orders: collection, customers: parents }) {
  const query = ({ status, amount, limit }) =>
    collection.find({
      selector: { status, amount: { $gt: amount } },
      sort: [{ createdAt: "desc" }],
      index: ["status", "createdAt"],
      limit,
    });
  const page = async (ask) => (await query(ask).exec()).map((doc) => doc.toJSON());
  const everything = async () => (await collection.find().exec()).map((doc) => doc._data);
  return {
    get: async (id) => (await collection.findOne(id).exec()).toJSON(),
    page,
    live: (ask, fn) => {
      const subscription = query(ask).$.subscribe((docs) => fn(docs.map((doc) => doc.toJSON())));
      return () => subscription.unsubscribe();
    },
    countBy: async () => {
      const count = (status) => collection.count({ selector: { status }, index: ["status", "createdAt"] }).exec();
      const statuses = ["open", "packed", "sent", "closed"];
      return Object.fromEntries(await Promise.all(statuses.map(async (status) => [status, await count(status)])));
    },
    rollup: async () => {
      const sums = new Map();
      for (const { customerId, amount } of await everything())
        sums.set(customerId, (sums.get(customerId) ?? 0) + amount);
      return topCustomers(sums);
    },
    joined: async (status) => {
      const rows = await page({ status, amount: -1, limit: JOINED_ROWS });
      const found = await parents.findByIds([...new Set(rows.map((row) => row.customerId))]).exec();
      return rows.map((row) => [row.id, found.get(row.customerId).name]);
    },
  };
}

function syncOf(collection, { url }) {
  let replication;
  const online = Promise.withResolvers();
  return {
    queue: (docs) => all(collection.bulkInsert(docs)),
    goOnline: async () => {
      const { replicateWithWebsocketServer } = await import("rxdb/plugins/replication-websocket");
      replication = await replicateWithWebsocketServer({
        replicationIdentifier: "bench",
        collection,
        url,
        batchSize: 1_000,
      });
      online.resolve();
    },
    pulled: async (count, onFirst) => {
      const subscription = collection.$.subscribe(onFirst);
      await online.promise;
      await replication.awaitInitialReplication();
      subscription.unsubscribe();
      const found = await collection.count().exec();
      if (found !== count) throw new Error(`wrong result: ${found} of ${count} documents after the first sync`);
    },
    watchOne: (id, fn) => void collection.findOne(id).$.subscribe((doc) => fn(doc?.toJSON())),
  };
}
