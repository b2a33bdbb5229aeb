/**
 * The page that the tests drive. The part of the address after `#` is its settings, so that a reload opens the same
 * database again. It puts on `window.tw` what a test needs; it decides nothing.
 */
import { createElement, useEffect } from "react";
import { createRoot } from "react-dom/client";
import { add, collection, inc, openDb, remove, set, unset } from "tidewire";
import { useLiveQuery } from "tidewire/react";
import { BackendError, createSyncService } from "tidewire/service";
import { leaveToken } from "tidewire/service-worker";
import { restBackend } from "../../pkg/examples/backends/rest-etag.ts";

/** A validator that takes every object: these tests are about sync. */
/** @type {any} */
const anything = { "~standard": { version: 1, vendor: "tests", validate: (value) => ({ value }) } };

const EVENTS = [
  "conflict",
  "rejected",
  "reset",
  "quota",
  "progress",
  "storage",
  "upgrade",
  "watchdog",
  "settings-differ",
];

const settings = JSON.parse(decodeURIComponent(location.hash.slice(1)));
/** @type {any} */
const tw = { add, inc, remove, set, unset, settings, events: [], asked: [], states: [], loads: {}, errors: [] };
addEventListener("error", (event) => tw.errors.push(`${event.message} ${event.error?.stack ?? ""}`));
addEventListener("unhandledrejection", ({ reason }) => tw.errors.push(`${reason?.code} ${reason?.stack ?? reason}`));
tw.token = sessionStorage.getItem("token") ?? settings.token;

function auth(why, user) {
  tw.asked.push(why);
  // A test with several accounts on one device says whose token is whose.
  if (settings.tokens) return settings.tokens[user] ?? null;
  if (why !== "start" && settings.renewed) tw.token = settings.renewed;
  return tw.token;
}

/** What decides about conflicts where the settings name one of these: they are JSON and hold no function. */
const FUNCTIONS = {
  higher: ({ mine, theirs }) => {
    tw.decided = (tw.decided ?? 0) + 1;
    return mine.price > theirs.price ? mine : theirs;
  },
  bobs: ({ mine, theirs }) => ([mine.title, mine.address.city].includes("Bob") ? mine : theirs),
};

const collections = Object.fromEntries(
  Object.entries(settings.collections).map(([name, { decide, ...options }]) => [
    name,
    collection(anything, decide === undefined ? options : { ...options, conflict: FUNCTIONS[decide] }),
  ]),
);

/**
 * Keys as the settings, which are JSON, can have them. They stand there backwards: the browser's history keeps the
 * address, and a test that looks for a passphrase on the disk should find it only where Tidewire left it.
 */
const { encrypt } = settings.options ?? {};
const backwards = (list) => [...list].reverse();
const keys = encrypt && {
  encrypt: encrypt.key
    ? { key: Uint8Array.from(backwards(encrypt.key)) }
    : { passphrase: backwards(encrypt.passphrase).join("") },
};

/** A server of ours, or somebody else's. */
const peer = settings.rest ? { backend: restBackend(settings.url, settings.rest) } : { url: settings.url };
tw.db = openDb({ name: settings.name, ...peer, auth, collections, ...settings.options, ...keys });
// A row that is asked for with the first breath, and whether the store was open when it came.
const asked = sessionStorage.getItem("early");
tw.firstPage = (db) => db.todos.where({ n: { gt: 100 } }).orderBy("n", "desc").limit(3);
if (sessionStorage.getItem("earlyPage")) {
  const page = tw.firstPage(tw.db);
  tw.earlyPage = page.get().then((rows) => ({ rows, open: tw.db.todos.peek("todo-1") !== undefined }));
}
if (asked) tw.early = tw.db.todos.get(asked).then((row) => ({ row, open: tw.db.todos.peek(asked) !== undefined }));
for (const type of EVENTS) tw.db.on(type, (event) => tw.events.push({ type, ...event }));
tw.db.sync.status.subscribe((status) => tw.states.push(status.state + (status.reason ? `:${status.reason}` : "")));

/** The queue as plain data. */
tw.queue = async () => {
  const queue = await tw.db.sync.queue.get();
  return JSON.parse(JSON.stringify({ pending: queue.pending, failed: queue.failed }));
};

/** Rows as plain data, without what Tidewire adds, in the order of their ids. */
tw.rows = async (name) => {
  const rows = await tw.db[name].where({}).get();
  return rows.map(tw.plain).sort((a, b) => (a.id < b.id ? -1 : 1));
};

tw.plain = (row) => Object.fromEntries(Object.entries(row).filter(([key]) => !key.startsWith("$")));

/** Writes down what a component is told about a collection: loading, partial, complete or error. */
function Loads({ name }) {
  const { status } = useLiveQuery(tw.db[name].where({}));
  useEffect(() => void (tw.loads[name] = [...(tw.loads[name] ?? []), status]), [name, status]);
  return null;
}

const watchers = Object.keys(collections).map((name) => createElement(Loads, { key: name, name }));
createRoot(/** @type {HTMLElement} */ (document.getElementById("root"))).render(watchers);

/** The classic face over a plain REST API, as an app's own client talks to it. */
tw.service = () => {
  const call = async (path, init) => {
    const response = await fetch(`${settings.url}/${path}`, init);
    if (!response.ok) throw BackendError.of(response);
    return response;
  };
  const item = async (response) => {
    const { updatedAt, ...entity } = await response.json();
    return { entity, updatedAt, etag: response.headers.get("etag") ?? undefined };
  };
  const put = (type, entity, headers) =>
    call(`${type}/${entity.id}`, { method: "PUT", headers, body: JSON.stringify(entity) }).then(item);
  return createSyncService(
    {
      list: async (type, { cursor = 0, limit }) => {
        const { items, next, more } = await (await call(`${type}?since=${cursor}&limit=${limit}`)).json();
        const rows = items.map(({ etag, updatedAt, deleted, ...entity }) => ({ entity, etag, updatedAt, deleted }));
        return { items: rows, cursor: next, more };
      },
      get: (type, id) => call(`${type}/${id}`).then(item),
      create: (type, entity) => put(type, entity, { "if-none-match": "*" }),
      update: async (type, id, patch, { ifMatch }) => {
        const { entity } = await item(await call(`${type}/${id}`));
        return put(type, { ...entity, ...patch }, { "if-match": ifMatch });
      },
      remove: (type, id, { ifMatch }) => call(`${type}/${id}`, { method: "DELETE", headers: { "if-match": ifMatch } }),
    },
    { retry: { initialMs: 100, maxMs: 800 }, pollMs: { visible: 500 } },
  );
};

/** Lets the service worker drain; `token` is one of its own. */
tw.leave = (token) => leaveToken(tw.db, token === undefined ? {} : { auth: () => token });

/** Starts the service worker; resolves when it runs. */
tw.serviceWorker = async (file = "/sw.js", options = /** @type {RegistrationOptions} */ ({ type: "module" })) => {
  await navigator.serviceWorker.register(file, options);
  await navigator.serviceWorker.ready;
};

/** Another database of the same collections, with what settings cannot hold. */
tw.open = (options) => openDb({ ...peer, auth, collections, ...options });

window.tw = tw;

/** Where no driver reaches the browser the page asks for what it is to do. */
if (settings.orders) {
  let body = "";
  for (;;) {
    const order = await fetch(settings.orders, { method: "POST", body, cache: "no-store" });
    const { id, code } = await order.json();
    const done = await Promise.resolve()
      .then(() => (0, eval)(code))
      .then(
        (value) => ({ id, value: value === undefined ? null : value }),
        (error) => ({ id, error: `${error?.code ? `${error.code}: ` : ""}${error?.message ?? error}` }),
      );
    body = JSON.stringify(done);
  }
}
