/** The classic face: `createSyncService(apiClient)`, over real HTTP. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { BackendError } from "../dist/service/index.js";
import { serviceWith } from "../dist/service/service.js";
import { wasmFactory } from "../dist/wasm/client.js";
import { closing } from "./backend/conformance.mjs";
import { until } from "./backend/open.mjs";
import { startRest } from "./backend/rest-server.mjs";
import { refused } from "./open.mjs";

const factory = wasmFactory(readFileSync(new URL("../dist/tidewire.wasm", import.meta.url)));
const owns = closing();
let count = 0;

/** An API client as an app has one: it knows nothing of Tidewire. */
function clientOf(url, listeners = new Set()) {
  const call = async (path, init = {}) => {
    const response = await fetch(`${url}/${path}`, init);
    if (response.ok) return response;
    const { detail } = await response.json().catch(() => ({}));
    throw BackendError.of(response, detail);
  };
  const item = async (response) => {
    const { updatedAt, ...entity } = await response.json();
    return { entity, updatedAt: new Date(updatedAt).toISOString(), etag: response.headers.get("etag") };
  };
  const get = async (type, id, { signal }) => item(await call(`${type}/${id}`, { signal }));
  const put = (path, entity, { signal, key }, match) => {
    const headers = { "content-type": "application/json", "idempotency-key": key, ...match };
    return call(path, { method: "PUT", headers, signal, body: JSON.stringify(entity) });
  };
  const matching = ({ ifMatch }) => (ifMatch === undefined ? {} : { "if-match": ifMatch });
  return {
    listeners,
    list: async (type, { cursor = 0, limit, signal }) => {
      const answer = await (await call(`${type}?since=${cursor}&limit=${limit}`, { signal })).json();
      const itemOf = ({ etag, updatedAt, deleted, ...entity }) => ({ entity, etag, updatedAt, deleted });
      return { items: answer.items.map(itemOf), cursor: answer.next, more: answer.more };
    },
    get: (type, id, given) =>
      get(type, id, given).catch((error) => (error.status === 404 ? null : Promise.reject(error))),
    create: async (type, entity, given) =>
      item(await put(`${type}/${entity.id}`, entity, given, { "if-none-match": "*" })),
    update: async (type, id, patch, given) => {
      const { entity } = await get(type, id, given);
      const gone = ([, field]) => field !== null;
      const whole = Object.fromEntries(Object.entries({ ...entity, ...patch }).filter(gone));
      return void (await put(`${type}/${id}`, whole, given, matching(given)));
    },
    remove: (type, id, given) =>
      call(`${type}/${id}`, { method: "DELETE", headers: matching(given), signal: given.signal }),
    subscribe: (_types, onChange) => (listeners.add(onChange), () => listeners.delete(onChange)),
  };
}

async function world(options) {
  const rest = owns(await startRest());
  const api = clientOf(rest.url);
  const usual = { storage: "memory", retry: { initialMs: 20, maxMs: 100 }, pollMs: { visible: 100 } };
  const make = () => owns(serviceWith(api, { ...usual, name: `service${(count += 1)}`, ...options }, factory));
  return { rest, api, make };
}

test("an entity is stored there, with the changes of others, and its type needs no declaration", async () => {
  const { rest, make } = await world();
  rest.put("users", "2", { name: "Bo" });
  const service = make();
  await service.getEntities("users");
  await until("online", () => service.isOnline());
  const saved = await service.syncEntity("users", { name: "Ada", age: 36 });
  assert.deepEqual(rest.get("users", saved.id).value, { name: "Ada", age: 36 });
  await service.syncEntity("users", { id: saved.id, name: "Ada L." });
  assert.deepEqual(rest.get("users", saved.id).value, { name: "Ada L." });
  await until("theirs", async () => (await service.getEntity("users", "2"))?.name === "Bo");
  assert.equal((await service.getEntities("users")).length, 2);
  await service.removeEntity("users", "2");
  assert.deepEqual([...rest.all("users").keys()], [saved.id]);
  await service.syncEntity("orders", { id: "1", total: 9 });
  assert.deepEqual(rest.get("orders", "1").value, { total: 9 });
  await until("confirmed", async () => (await service.getEntity("orders", "1")).$sync.status === "synced");
  const before = performance.now();
  const same = await service.syncEntity("orders", { id: "1", total: 9 });
  assert.equal(same.total, 9);
  assert.ok(performance.now() - before < 5_000, "what changes nothing waits for no answer");
});

test("offline it resolves with the local version, which is sent when there is a line", async () => {
  const { rest, make } = await world();
  const service = make();
  rest.faults.push("drop", "drop", "drop");
  rest.readFaults.push(...Array.from({ length: 8 }, () => "drop"));
  const saved = await service.syncEntity("users", { name: "Ada" });
  assert.deepEqual([saved.name, saved.$sync.status, service.isOnline()], ["Ada", "pending", false]);
  const [waiting] = await service.queue.pending();
  assert.deepEqual([waiting.type, waiting.id, waiting.kind], ["users", saved.id, "create"]);
  await until("sent", async () => rest.get("users", saved.id) !== undefined && service.isOnline());
  await until("nothing waits", async () => (await service.queue.pending()).length === 0);
});

test("what the API refuses is an error with its reason, and can be given up or tried again", async () => {
  const { rest, make } = await world({ types: ["users"] });
  rest.check = ({ name }) => (name === "bad" ? { detail: "no such name" } : undefined);
  const service = make();
  await service.sync();
  const error = await refused(service.syncEntity("users", { name: "bad" }));
  assert.deepEqual([error.code, error.message, error.collection], ["invalid", "no such name", "users"]);
  const [letter] = await service.queue.failed();
  assert.deepEqual([letter.kind, letter.error.message], ["create", "no such name"]);
  rest.check = () => undefined;
  await service.queue.retry(letter);
  await until("stored", () => rest.all("users").size === 1);
  rest.check = () => ({ detail: "never" });
  await refused(service.syncEntity("users", { name: "bad" }));
  const [second] = await service.queue.failed();
  await service.queue.discard(second);
  await until("given up", async () => (await service.queue.failed()).length === 0);
});

test("real time: changes are told as they come, at once where the API says so", async () => {
  const { rest, api, make } = await world({ pollMs: { visible: 60_000 }, types: ["users"] });
  rest.put("users", "1", { name: "Ada" });
  const service = make();
  const told = [];
  const stop = service.realTime.subscribe("users", ({ id, name }, removed) => told.push([id, name, removed]));
  await until("what is there", () => told.length === 1);
  service.enableRealTime();
  assert.ok(service.realTime.enabled);
  await until("it listens", () => api.listeners.size === 1);
  await service.sync();
  rest.put("users", "2", { name: "Bo" });
  for (const tell of api.listeners) tell();
  await until("told", () => told.length === 2);
  rest.put("users", "1", {}, true);
  for (const tell of api.listeners) tell();
  await until("told of the end", () => told.length === 3);
  assert.deepEqual(told, [
    ["1", "Ada", false],
    ["2", "Bo", false],
    ["1", "Ada", true],
  ]);
  service.disableRealTime();
  await until("it does not listen", () => api.listeners.size === 0);
  stop();
});

test("conflicts are settled as the type's strategy says, at any time", async () => {
  const { rest, make } = await world();
  for (const id of ["1", "2"]) rest.put("users", id, { name: "old" });
  const service = make();
  service.setConflictStrategy("users", "server-wins");
  await until("there", async () => (await service.getEntities("users")).length === 2);
  const clash = async (id) => {
    const before = rest.before;
    let met = false;
    rest.before = async ({ method }) => {
      if (method === "PUT" && !met) rest.put("users", id, { name: "theirs" });
      met ||= method === "PUT";
    };
    await service.syncEntity("users", { id, name: "mine" });
    rest.before = before;
    return rest.get("users", id).value.name;
  };
  assert.equal(await clash("1"), "theirs");
  service.setConflictStrategy("users", "client-wins");
  assert.equal(await clash("2"), "mine");
  assert.throws(() => service.setConflictStrategy("users", () => "row"), { code: "bad-config" });
});

test("the tools are there, and a closed service says so", async () => {
  const { make } = await world();
  const service = make();
  assert.deepEqual(service.diff.diff({ a: 1 }, { a: 2 }), { set: { "/a": 2 }, unset: [] });
  await service.getEntities("users");
  await service.close();
  assert.equal((await refused(service.getEntities("orders"))).code, "closed");
});

test("what was kept is there after a restart, though nobody has asked for its type again", async () => {
  const name = `service-again${(count += 1)}`;
  const { rest, make } = await world({ name });
  const first = make();
  const saved = await first.syncEntity("users", { name: "Ada" });
  await until("confirmed", async () => (await first.getEntity("users", saved.id)).$sync.status === "synced");
  rest.faults.push(...Array.from({ length: 50 }, () => "drop"));
  await first.syncEntity("users", { id: saved.id, name: "Ada L." });
  await first.close();
  const second = make();
  await second.syncEntity("orders", { id: "1", total: 1 });
  await until("reached", () => second.isOnline());
  const before = rest.requests.length;
  assert.equal((await second.getEntity("users", saved.id)).name, "Ada L.");
  rest.faults.length = 0;
  await until("sent", async () => rest.get("users", saved.id)?.value.name === "Ada L.");
  await until("read once more", () => rest.requests.length > before);
  assert.deepEqual((await second.getEntities("users")).map((user) => user.id), [saved.id]);
});
