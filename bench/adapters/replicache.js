/** Replicache, whose store is persisted at once after each write: by itself it does so only when the page is idle. */
import { ReplicacheImpl } from "replicache/impl";
import { JOINED_ROWS, topCustomers } from "../documents.js";

export const about = {
  name: "Replicache",
  packages: ["replicache"],
  docs: "https://doc.replicache.dev/concepts/performance",
  setting:
    "one mutation for each call, an index whose order is status and newest first, persist() forced for durability",
  storage: "IndexedDB",
  durabilities: ["relaxed"],
};

/** The key of the index sorts by status, then the newest first. */
const newest = (doc) => `${doc.status}/${String(9_999_999_999_999 - doc.createdAt).padStart(13, "0")}`;
const stored = (doc) => ({ ...doc, _newest: newest(doc) });
const key = (id) => `order/${id}`;

export const mutators = {
  put: async (tx, docs) => {
    for (const doc of docs) await tx.set(key(doc.id), stored(doc));
  },
  putCustomers: async (tx, docs) => {
    for (const doc of docs) await tx.set(`customer/${doc.id}`, doc);
  },
  patch: async (tx, list) => {
    for (const [id, changes] of list) await tx.set(key(id), stored({ ...(await tx.get(key(id))), ...changes }));
  },
};

export async function open({ name, sync }) {
  const indexes = { newest: { jsonPointer: "/_newest", prefix: "order/", allowEmpty: true } };
  const line = sync && lineTo(sync);
  const options = { name, mutators, indexes, logLevel: "error", pullInterval: null, ...line?.options };
  const rep = new ReplicacheImpl(options);
  persistOneByOne(rep);
  const write = async (mutation) => {
    await mutation;
    await rep.persist();
  };
  await rep.query(() => undefined);
  return { ...writesOf(rep, write), ...readsOf(rep), ...(sync && syncOf(rep, line, sync)) };
}

/** Its own saving, when the page is idle, must not meet one that is asked for: it refuses two at once. */
function persistOneByOne(rep) {
  const persist = rep.persist.bind(rep);
  let last = Promise.resolve();
  rep.persist = () => (last = last.then(persist, persist));
}

function writesOf(rep, write) {
  return {
    insert: (doc) => write(rep.mutate.put([doc])),
    insertMany: (docs) => write(rep.mutate.put(docs)),
    insertCustomers: (docs) => write(rep.mutate.putCustomers(docs)),
    patch: (id, changes) => write(rep.mutate.patch([[id, changes]])),
    patchMany: (list) => write(rep.mutate.patch(list)),
  };
}

async function pageOf(tx, { status, amount, limit }) {
  const rows = [];
  for await (const row of tx.scan({ indexName: "newest", prefix: `${status}/` })) {
    if (row.amount > amount) rows.push(row);
    if (rows.length === limit) break;
  }
  return rows;
}

function readsOf(rep) {
  const everything = async (tx, each) => {
    for await (const row of tx.scan({ prefix: "order/" })) each(row);
  };
  return {
    get: (id) => rep.query((tx) => tx.get(key(id))),
    page: (ask) => rep.query((tx) => pageOf(tx, ask)),
    live: (ask, fn) => rep.subscribe((tx) => pageOf(tx, ask), fn),
    countBy: async () => {
      const counts = {};
      const count = ({ status }) => (counts[status] = (counts[status] ?? 0) + 1);
      await rep.query((tx) => everything(tx, count));
      return counts;
    },
    rollup: async () => {
      const sums = new Map();
      const add = ({ customerId, amount }) => sums.set(customerId, (sums.get(customerId) ?? 0) + amount);
      await rep.query((tx) => everything(tx, add));
      return topCustomers(sums);
    },
    joined: (status) =>
      rep.query(async (tx) => {
        const rows = await pageOf(tx, { status, amount: -1, limit: JOINED_ROWS });
        const name = async ({ customerId }) => (await tx.get(`customer/${customerId}`)).name;
        return Promise.all(rows.map(async (row) => [row.id, await name(row)]));
      }),
  };
}

/** What Replicache sends and asks goes through here, and fails while the device is offline. */
function lineTo({ url }) {
  const line = { online: false };
  const post = async (path, body) => {
    if (!line.online) throw new Error("offline");
    const answer = await fetch(`${url}${path}`, { method: "POST", body: JSON.stringify(body) });
    return { json: await answer.json(), httpRequestInfo: { httpStatusCode: answer.status, errorMessage: "" } };
  };
  const puller = async (body) => {
    const { json, httpRequestInfo } = await post("/pull", body);
    return { response: json, httpRequestInfo };
  };
  const pusher = async (body) => ({ httpRequestInfo: (await post("/push", body)).httpRequestInfo });
  line.options = { puller, pusher };
  return line;
}

function syncOf(rep, line, { socket }) {
  const pulledAll = Promise.withResolvers();
  return {
    queue: async (docs) => {
      await Promise.all(docs.map((doc) => rep.mutate.put([doc])));
      await rep.persist();
    },
    goOnline: async () => {
      line.online = true;
      const pokes = new WebSocket(socket);
      pokes.onmessage = () => void rep.pull({ now: true });
      void rep.push({ now: true });
      await rep.pull({ now: true });
      await rep.persist();
      pulledAll.resolve();
    },
    pulled: async (count, onFirst) => {
      const rows = (tx) => tx.scan({ prefix: "order/", limit: 1 }).keys().toArray();
      const stop = rep.subscribe(rows, (keys) => keys.length > 0 && onFirst());
      await pulledAll.promise;
      stop();
      const found = await rep.query(async (tx) => (await tx.scan({ prefix: "order/" }).keys().toArray()).length);
      if (found !== count) throw new Error(`wrong result: ${found} of ${count} documents after the first sync`);
    },
    watchOne: (id, fn) => void rep.subscribe((tx) => tx.get(key(id)), fn),
  };
}
