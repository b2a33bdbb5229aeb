/** PouchDB on its IndexedDB adapter with native indexes, and the find plugin. */
import PouchDB from "pouchdb-browser";
import indexeddb from "pouchdb-adapter-indexeddb";
import find from "pouchdb-find";
import { JOINED_ROWS, topCustomers } from "../documents.js";

PouchDB.plugin(indexeddb).plugin(find);

export const about = {
  name: "PouchDB",
  packages: ["pouchdb-browser", "pouchdb-adapter-indexeddb", "pouchdb-find"],
  docs: "https://pouchdb.com/adapters.html",
  setting: "indexeddb adapter, bulkDocs, Mango index [status, createdAt], auto_compaction",
  storage: "IndexedDB",
  durabilities: ["relaxed"],
};

const INDEX = { index: { fields: ["status", "createdAt"], ddoc: "newest", name: "newest" } };

export async function open({ name, sync }) {
  const options = { adapter: "indexeddb", auto_compaction: true };
  const db = new PouchDB(name, options);
  const parents = new PouchDB(`${name}-customers`, options);
  // An index makes the adapter open its database anew, which must not fall into a replication.
  if (!sync) await db.createIndex(INDEX);
  return { ...writesOf(db, parents), ...readsOf(db, parents), ...(sync && syncOf(db, sync)) };
}

const stored = (doc) => ({ _id: doc.id, ...doc });

async function all(writing) {
  const failed = (await writing).filter((one) => one.error);
  if (failed.length > 0) throw new Error(`PouchDB refused ${failed.length} documents: ${JSON.stringify(failed[0])}`);
}

function writesOf(db, parents) {
  return {
    insert: (doc) => db.put(stored(doc)),
    insertMany: (docs) => all(db.bulkDocs(docs.map(stored))),
    insertCustomers: (docs) => all(parents.bulkDocs(docs.map(stored))),
    patch: async (id, changes) => db.put({ ...(await db.get(id)), ...changes }),
    patchMany: async (list) => {
      const { rows } = await db.allDocs({ keys: list.map(([id]) => id), include_docs: true });
      await all(db.bulkDocs(rows.map(({ doc }, at) => ({ ...doc, ...list[at][1] }))));
    },
  };
}

function readsOf(db, parents) {
  const page = async ({ status, amount, limit }) => {
    const selector = { status, createdAt: { $gt: null }, amount: { $gt: amount } };
    const sort = [{ status: "desc" }, { createdAt: "desc" }];
    return (await db.find({ selector, sort, limit, use_index: ["newest", "newest"] })).docs;
  };
  const everything = async () => {
    const { rows } = await db.allDocs({ include_docs: true });
    return rows.filter(({ id }) => !id.startsWith("_design/")).map(({ doc }) => doc);
  };
  return {
    get: (id) => db.get(id),
    page,
    // The changes feed says that something changed; the page is asked for again.
    live: async (ask, fn) => {
      fn(await page(ask));
      const feed = db.changes({ live: true, since: "now" }).on("change", async () => fn(await page(ask)));
      return () => feed.cancel();
    },
    countBy: async () => {
      const counts = {};
      for (const { status } of await everything()) counts[status] = (counts[status] ?? 0) + 1;
      return counts;
    },
    rollup: async () => {
      const sums = new Map();
      for (const { customerId, amount } of await everything())
        sums.set(customerId, (sums.get(customerId) ?? 0) + amount);
      return topCustomers(sums);
    },
    joined: async (status) => {
      const rows = await page({ status, amount: -1, limit: JOINED_ROWS });
      const found = await parents.allDocs({ keys: rows.map((row) => row.customerId), include_docs: true });
      return rows.map((row, at) => [row.id, found.rows[at].doc.name]);
    },
  };
}

function syncOf(db, { url }) {
  const online = Promise.withResolvers();
  const settings = { live: true, retry: true, batch_size: 1_000 };
  let queued = 0;
  /** Resolves when that many documents went one way. */
  const went = async (way, count, onFirst = () => {}) => {
    const feed = (await online.promise)();
    await new Promise((resolve) => {
      feed[way].on("change", ({ docs_written: written }) => {
        if (written > 0) onFirst();
        if (written >= count) resolve();
      });
    });
  };
  return {
    queue: async (docs) => {
      queued += docs.length;
      await all(db.bulkDocs(docs.map(stored)));
    },
    goOnline: () => {
      const feed = db.sync(url, { push: settings, pull: settings });
      // It is a promise as well, of the end of syncing: resolving with it would wait for that.
      online.resolve(() => feed);
    },
    accepted: () => went("push", queued),
    pulled: async (count, onFirst) => {
      await went("pull", count, onFirst);
      const { rows } = await db.allDocs();
      const found = rows.filter(({ id }) => !id.startsWith("_")).length;
      if (found !== count) throw new Error(`wrong result: ${found} of ${count} documents after the first sync`);
    },
    watchOne: (id, fn) => {
      const options = { live: true, since: "now", include_docs: true, doc_ids: [id] };
      db.changes(options).on("change", ({ doc }) => fn(doc));
    },
  };
}
