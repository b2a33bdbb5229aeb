/**
 * Tidewire as an app uses it: a Zod schema for each collection, every check on, a server configured. For the local
 * workloads that server cannot be reached, so each write is also queued for it.
 */
import { collection, openDb } from "tidewire";
import { z } from "zod";
import { JOINED_ROWS, topCustomers } from "../documents.js";

export const about = {
  name: "Tidewire",
  docs: "pkg/README.md",
  setting: "Zod schema, all refusals on, writes queued for a server that is offline",
  storage: "IndexedDB",
  durabilities: ["strict", "relaxed"],
  flushes: ["sync", "frame"],
};

/** Nothing listens there: every request is refused at once. */
const NOWHERE = "http://127.0.0.1:9";

const orders = z.object({
  customerId: z.string().min(1),
  title: z.string().min(1),
  status: z.enum(["open", "packed", "sent", "closed"]),
  amount: z.number().int().min(0),
  currency: z.string().length(3),
  createdAt: z.number().int(),
  updatedAt: z.number().int(),
  owner: z.string(),
  priority: z.number().int().min(0).max(9),
  done: z.boolean(),
  tags: z.array(z.string()),
  address: z.object({ street: z.string(), city: z.string(), zip: z.string() }),
  note: z.string(),
});

/** Opens the store; it is ready when its status is known. */
export async function open({ name, durability, sync }) {
  const { url, auth } = sync ? { url: sync.url, auth: () => sync.token } : { url: NOWHERE, auth: () => "nobody" };
  const collections = {
    orders: collection(orders, {
      refs: { customerId: { to: "customers", as: "customer", many: "orders", onDelete: "cascade" } },
    }),
    customers: z.object({ name: z.string().min(1), region: z.string() }),
  };
  const db = openDb({ name, url, auth, durability, collections });
  if (sync) await db.sync.pause();
  return { ...writesOf(db), ...readsOf(db), ...aggregatesOf(db), ...upkeepOf(db, name), ...syncOf(db) };
}

function writesOf(db) {
  return {
    insert: (doc) => db.orders.insert(doc),
    insertMany: (docs) => db.orders.insertMany(docs),
    insertCustomers: (docs) => db.customers.insertMany(docs),
    patch: (id, changes) => db.orders.update(id, changes),
    // Writes of one tick share a transaction.
    patchMany: (list) => Promise.all(list.map(([id, changes]) => db.orders.update(id, changes))),
  };
}

function readsOf(db) {
  const query = ({ status, amount, limit }) =>
    db.orders
      .where({ status, amount: { gt: amount } })
      .orderBy("createdAt", "desc")
      .limit(limit);
  return {
    // Synchronous once the store is open.
    get: (id) => db.orders.peek(id) ?? db.orders.get(id),
    page: (ask) => query(ask).get(),
    live: (ask, fn, { flush = "sync" }) => query(ask).subscribe(fn, { flush }),
  };
}

/** What the package does not have yet is left out, and the report says so. */
function aggregatesOf(db) {
  const pair = ({ key, value }) => [key, value];
  const all = db.orders.where({});
  const joined = (status) => db.orders.where({ status }).orderBy("createdAt", "desc").limit(JOINED_ROWS);
  return {
    ...(typeof all.groupBy === "function" && {
      countBy: async () => Object.fromEntries((await all.groupBy("status").get()).map(pair)),
      rollup: async () => topCustomers((await all.groupBy("customerId").sum("amount").get()).map(pair)),
    }),
    ...(typeof all.include === "function" && {
      joined: async (status) =>
        (await joined(status).include("customer").get()).map((row) => [row.id, row.customer.name]),
    }),
  };
}

function syncOf(db) {
  const orders = db.orders.where({});
  return {
    queue: (docs) => Promise.all(docs.map((doc) => db.orders.insert(doc))),
    goOnline: () => db.sync.resume(),
    // Every verdict is here, so it is on the server's disk.
    accepted: async () => {
      await until(db.sync.status, ({ state }) => state !== "paused");
      await db.sync.done({ timeoutMs: 300_000 });
    },
    pulled: async (count, onFirst) => {
      const stop = orders.limit(1).subscribe((rows) => rows.length > 0 && onFirst(), { flush: "sync" });
      await until(db.sync.status, ({ state }) => state === "synced");
      stop();
      const found = await orders.count().get();
      if (found !== count) throw new Error(`wrong result: ${found} of ${count} documents after the first sync`);
    },
    watchOne: (id, fn) => db.orders.live(id).subscribe(fn, { flush: "sync" }),
  };
}

/** Waits until a live value is as wanted. */
const until = (live, wanted) =>
  new Promise((resolve) => {
    const stop = live.subscribe(
      (value) => {
        if (!wanted(value)) return;
        resolve();
        queueMicrotask(() => stop());
      },
      { flush: "sync" },
    );
  });

function upkeepOf(db, name) {
  return {
    settled: () => sealed(name),
    close: () => db.close(),
  };
}

/** The idle work of the store is done when log and segments have stayed the same for a while. */
async function sealed(name) {
  const found = (await indexedDB.databases()).find((one) => one.name.includes(name));
  if (found === undefined) return;
  const database = await new Promise((resolve, reject) => {
    const request = indexedDB.open(found.name);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const keys = (store) =>
    new Promise((resolve, reject) => {
      const request = database.transaction(store).objectStore(store).getAllKeys();
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  let last = "";
  let same = 0;
  for (const until = performance.now() + 30_000; performance.now() < until && same < 5;) {
    const now = `${await keys("log")} ${await keys("segs")}`;
    same = now === last ? same + 1 : 0;
    last = now;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  database.close();
}
