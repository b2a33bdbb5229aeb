import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { add, collection, inc, remove, set, unset } from "../dist/index.js";
import { settled } from "./fake.mjs";
import { open, refused } from "./open.mjs";

const URL = { url: "https://sync.example.com" };

test("a write before the store is open has its id at once and is visible when it opens", async () => {
  const { db } = open();
  const write = db.todos.insert({ title: "Milk" });
  assert.match(write.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(db.todos.peek(write.id), undefined);
  await write;
  assert.equal(db.todos.peek(write.id).title, "Milk");
});

test("writes before the store is open run in order, each seeing those before it", async () => {
  let openGate;
  const { db, factory } = open({ openGate: new Promise((resolve) => (openGate = resolve)) });
  const { id } = db.todos.insert({ title: "Milk", votes: 1 });
  db.todos.update(id, { votes: inc(2) });
  const last = db.todos.update(id, (draft) => void (draft.votes *= 10));
  await settled();
  assert.equal(factory.client.calls.write, 0);
  openGate();
  await last;
  assert.equal(db.todos.peek(id).votes, 30);
});

test("a write is visible before it is durable, and resolves when it is", async () => {
  const { db, factory } = open({ autoDurable: false });
  await db.todos.where().get();
  const write = db.todos.insert({ title: "Milk" });
  let durable = false;
  void write.then(() => (durable = true));
  await settled();
  assert.equal(db.todos.peek(write.id).$sync.status, "pending");
  assert.equal(durable, false);
  factory.client.settle(1);
  await write;
});

test("a write that cannot be stored rejects with the code of the core", async () => {
  const { db, factory } = open({ autoDurable: false });
  await db.todos.where().get();
  const write = db.todos.insert({ title: "Milk" });
  factory.client.emit([{ type: "write-failed", write: 1, error: { code: "quota", message: "full", retryable: true } }]);
  const error = await refused(write);
  assert.deepEqual([error.code, error.retryable, error.name], ["quota", true, "TidewireError"]);
});

test("operators, undefined, array paths and objects become the patch that they say", async () => {
  const { db, factory } = open();
  const { id } = db.todos.insert({ title: "Milk", tags: ["a"], due: "2026-01-01", address: { city: "Oslo" } });
  await db.todos.update(id, {
    done: set(true),
    votes: inc(2),
    tags: add("b", "a"),
    due: undefined,
    "address.city": "Rome",
  });
  assert.deepEqual(factory.client.lastRequest, {
    ops: [
      {
        op: "patch",
        c: "todos",
        id,
        set: { "/done": true, "/address/city": "Rome" },
        unset: ["/due"],
        inc: { "/votes": 2 },
        add: { "/tags": ["b", "a"] },
      },
    ],
    atomic: false,
  });
  await db.todos.update(id, { tags: remove("a"), address: unset() });
  await db.todos.update(id, [[["a.b/c~d"], 1]]);
  assert.deepEqual(factory.client.lastRequest.ops[0].set, { "/a.b~1c~0d": 1 });
});

test("a draft is the row's data, is compared with it, and a draft that changes nothing writes nothing", async () => {
  const { db, factory } = open();
  const { id } = db.todos.insert({ title: "Milk", tags: ["a"] });
  await db.todos.update(id, (draft) => {
    assert.deepEqual(Object.keys(draft).sort(), ["done", "tags", "title", "votes"]);
    draft.tags.push("b");
  });
  assert.deepEqual(factory.client.lastRequest.ops[0].value.tags, ["a", "b"]);
  const before = factory.client.calls.write;
  await db.todos.update(id, () => undefined);
  assert.equal(factory.client.calls.write, before);
  assert.equal((await refused(db.todos.update(id, async () => undefined))).code, "async-function");
});

test("ifRev travels with the edit: the server decides about it", async () => {
  const { db, factory } = open();
  const { id } = db.todos.insert({ title: "a" });
  await db.todos.update(id, { done: true }, { ifRev: 7 });
  assert.equal(factory.client.lastRequest.ops[0].ifRev, 7);
  await db.todos.update(id, (draft) => void (draft.title = "b"), { ifRev: 8 });
  assert.equal(factory.client.lastRequest.ops[0].ifRev, 8);
  await db.todos.delete(id, { ifRev: 9 });
  assert.equal(factory.client.lastRequest.ops[0].ifRev, 9);
});

test("upsert inserts, replaces, and writes nothing where nothing differs; a whole row can be given back", async () => {
  const { db, factory } = open();
  const { id } = db.todos.upsert({ title: "Milk" });
  const row = await db.todos.get(id);
  await db.todos.upsert({ ...row, done: true });
  assert.deepEqual(factory.client.lastRequest.ops, [
    { op: "replace", c: "todos", id, value: { title: "Milk", done: true, votes: 0, tags: [] } },
  ]);
  const before = factory.client.calls.write;
  await db.todos.upsert({ ...db.todos.peek(id) });
  assert.equal(factory.client.calls.write, before);
});

test("insertMany is one request, and one bad value refuses all of it", async () => {
  const { db, factory } = open();
  const ids = await db.todos.insertMany([{ title: "a" }, { title: "b", id: "mine" }]);
  assert.equal(ids[1], "mine");
  assert.equal(factory.client.calls.write, 1);
  assert.equal((await refused(db.todos.insertMany([{ title: "a" }, { title: "" }]))).path, "/title");
  assert.equal((await db.todos.where().get()).length, 2);
});

test("a query can edit and delete what it matches", async () => {
  const { db } = open();
  await db.todos.insertMany([{ title: "a" }, { title: "b", done: true }, { title: "c" }]);
  const edited = await db.todos.where({ done: false }).update({ done: true, votes: inc(1) });
  assert.deepEqual([edited.ids.length, edited.atomic], [2, true]);
  assert.equal((await db.todos.where({ votes: 1 }).delete()).ids.length, 2);
  assert.deepEqual(
    (await db.todos.where().get()).map((row) => row.title),
    ["b"],
  );
});

test("what is missing or there already is refused with the code of the core", async () => {
  const { db } = open();
  await db.todos.insert({ title: "a", id: "one" });
  const update = await refused(db.todos.update("none", { done: true }));
  assert.deepEqual([update.code, update.collection, update.id], ["not-found", "todos", "none"]);
  assert.equal((await refused(db.todos.delete("none"))).code, "not-found");
  const insert = await refused(db.todos.insert({ title: "a", id: "one" }));
  assert.deepEqual([insert.code, insert.collection, insert.id], ["exists", "todos", "one"]);
  assert.equal((await refused(db.todos.insert({ title: "a", id: "" }))).code, "bad-name");
});

test("values that are not JSON are refused with their path before they reach the core", async () => {
  const { db, factory } = open();
  const { id } = db.todos.insert({ title: "Milk" });
  const cycle = {};
  cycle.self = cycle;
  const bad = [
    [NaN, "/x"],
    [Infinity, "/x"],
    [1n, "/x"],
    [() => 1, "/x"],
    [Symbol("x"), "/x"],
    [new Date(), "/x"],
    [new Map(), "/x"],
    [[1, undefined], "/x/1"],
    [{ deep: [{ y: NaN }] }, "/x/deep/0/y"],
    [cycle, "/x/self"],
    ["\ud800", "/x"],
  ];
  await settled();
  const before = factory.client.calls.write;
  for (const [value, path] of bad) {
    const error = await refused(db.todos.update(id, { x: value }));
    assert.deepEqual([error.code, error.path], ["bad-value", path], String(path));
  }
  const polluted = JSON.parse('{"x": {"__proto__": {"admin": true}}}');
  assert.equal((await refused(db.todos.update(id, polluted))).code, "forbidden-key");
  assert.equal((await refused(db.todos.update(id, { "title.x": 1 }))).code, "bad-path");
  assert.equal((await refused(db.todos.update(id, { "tags.0": "x" }))).code, "bad-path");
  assert.equal((await refused(db.todos.update(id, { "a..b": "x" }))).code, "bad-path");
  assert.equal(factory.client.calls.write, before);
  assert.equal({}.admin, undefined);
});

test("server() resolves with the verdict, and with the first that is not applied", async () => {
  const { db, factory } = open({}, URL);
  const one = db.todos.insert({ title: "a" });
  await one;
  const verdict = one.server();
  factory.client.emit([{ type: "verdict", write: 1, index: 0, verdict: { verdict: "applied", rev: 4 } }]);
  assert.deepEqual(await verdict, { verdict: "applied", rev: 4 });
  assert.equal((await one.server()).rev, 4);
  const many = db.todos.insertMany([{ title: "a" }, { title: "b" }]);
  await many;
  factory.client.emit(
    [0, 1].map((index) => ({
      type: "verdict",
      write: 2,
      index,
      verdict: index === 0 ? { verdict: "rejected", code: "forbidden", message: "no" } : { verdict: "applied", rev: 1 },
    })),
  );
  assert.equal((await many.server()).verdict, "rejected");
});

test("server() does not wait where nothing was left to decide, online or not", async () => {
  const { db, factory } = open({}, URL);
  const { id } = db.todos.insert({ title: "a" });
  const same = db.todos.update(id, { title: "a" });
  assert.deepEqual(await same.server({ timeoutMs: 1_000 }), { verdict: "void" });
  assert.deepEqual(await db.todos.insertMany([]).server({ timeoutMs: 1_000 }), { verdict: "void" });
  await same;
  factory.client.setStatus({ state: "offline", since: 1 });
  assert.deepEqual(await same.server(), { verdict: "void" });
});

test("a held verdict is not the last word", async () => {
  const { db, factory } = open({}, URL);
  const write = db.todos.insert({ title: "a" });
  await write;
  const verdict = write.server();
  factory.client.emit([{ type: "verdict", write: 1, index: 0, verdict: { verdict: "held", reason: "missing" } }]);
  await settled();
  factory.client.emit([{ type: "verdict", write: 1, index: 0, verdict: { verdict: "applied", rev: 9 } }]);
  assert.equal((await verdict).rev, 9);
});

test("server() never hangs: offline, paused, local, timeout and abort reject, and the write stays", async () => {
  const { db, factory } = open({}, URL);
  const write = db.todos.insert({ title: "a" });
  await write;
  assert.equal((await refused(write.server({ timeoutMs: 5 }))).code, "timeout");
  const aborted = write.server({ signal: AbortSignal.abort() });
  assert.equal((await refused(aborted)).code, "aborted");
  const control = new AbortController();
  const later = write.server({ signal: control.signal });
  control.abort();
  assert.equal((await refused(later)).code, "aborted");
  const waiting = write.server();
  factory.client.setStatus({ state: "offline", since: 1 });
  assert.deepEqual([(await refused(waiting)).code, (await refused(write.server())).retryable], ["offline", true]);
  factory.client.setStatus({ state: "paused", reason: "auth" });
  assert.equal((await refused(write.server())).code, "paused");
  const local = open().db.todos.insert({ title: "a" });
  assert.equal((await refused(local.server())).code, "offline");
  assert.ok(db.todos.peek(write.id));
});

test("whoever asks for the verdict hears of a refusal there, and not a second time as unhandled", async (t) => {
  const unhandled = [];
  const note = (error) => unhandled.push(error.code);
  const others = process.listeners("unhandledRejection"); // the test runner's own: it would fail the test
  process.removeAllListeners("unhandledRejection").on("unhandledRejection", note);
  t.after(() => {
    process.off("unhandledRejection", note);
    for (const other of others) process.on("unhandledRejection", other);
  });
  const { db } = open({}, URL);
  await db.todos.where().get();
  assert.equal((await refused(db.todos.insert({ title: "" }).server())).code, "invalid");
  await settled();
  assert.deepEqual(unhandled, []);
  db.todos.insert({ title: "" });
  await settled();
  assert.deepEqual(unhandled, ["invalid"], "a refusal that nobody asks about is not silent");
});

test("undo is a write of its own, after the one that it takes back is durable", async () => {
  const { db, factory } = open({ autoDurable: false });
  await db.todos.where().get();
  const write = db.todos.insert({ title: "a" });
  const undo = write.undo();
  await settled();
  assert.equal(factory.client.undone, undefined);
  factory.client.settle(1);
  await undo;
  assert.equal(factory.client.undone, 1);
});

test("a transaction is one atomic request, sees its own edits, and nothing of it happens if it throws", async () => {
  const { db, factory } = open();
  const id = await db.todos
    .insert({ title: "a" })
    .then(() => db.todos.where().get())
    .then(([row]) => row.id);
  const result = await db.transaction((tx) => {
    const project = tx.projects.insert({ name: "Home" });
    tx.todos.update(id, { title: "b", votes: inc(1) });
    assert.equal(tx.todos.peek(id).votes, 1);
    tx.todos.update(id, { votes: inc(1) });
    tx.todos.delete(id);
    assert.equal(tx.todos.peek(id), undefined);
    return project;
  });
  assert.equal((await db.projects.get(result)).name, "Home");
  assert.equal(factory.client.lastRequest.atomic, true);
  assert.deepEqual(
    factory.client.lastRequest.ops.map((op) => op.op),
    ["insert", "patch", "patch", "delete"],
  );
  const before = factory.client.calls.write;
  const failed = db.transaction((tx) => {
    tx.projects.insert({ name: "x" });
    tx.todos.update("none", { done: true });
  });
  assert.equal((await refused(failed)).code, "not-found");
  assert.equal((await refused(db.transaction(async () => undefined))).code, "async-function");
  let kept;
  await db.transaction((tx) => void (kept = tx));
  assert.throws(() => kept.projects.insert({ name: "late" }), { code: "transaction-over" });
  assert.equal(factory.client.calls.write, before);
});

test("a transaction before the store is open waits for it as a whole", async () => {
  const { db, factory } = open();
  const { id } = db.todos.insert({ title: "a" });
  const write = db.transaction((tx) => {
    assert.equal(tx.todos.peek(id), undefined);
    tx.todos.update(id, { votes: inc(1) });
    return tx.projects.insert({ name: "Home" });
  });
  const project = await write;
  assert.equal(write.id, id);
  assert.ok(db.projects.peek(project) && db.todos.peek(id).votes === 1);
  assert.equal(factory.client.lastRequest.ops.length, 2);
});

test("export and import carry all rows", async () => {
  const { db } = open();
  await db.todos.insertMany([{ title: "a" }, { title: "b" }]);
  const data = await db.export();
  const other = open().db;
  assert.deepEqual(await other.import(data), { rows: 2 });
  assert.deepEqual(
    (await other.todos.where().get()).map((row) => row.title),
    ["a", "b"],
  );
  assert.equal((await refused(other.import({}))).code, "bad-value");
  assert.equal((await refused(other.import({ tidewire: 1, collections: { cats: [] } }))).code, "unknown-collection");
});

test("an import leaves sensitive fields as they are that it does not have", async () => {
  const sensitive = ["ssn", "address.street"];
  const schema = z.object({ name: z.string(), ssn: z.string().optional(), address: z.record(z.string(), z.string()) });
  const collections = { people: collection(schema, { sensitive }), plain: schema };
  const { db } = open({}, { collections });
  const person = { name: "Ada", ssn: "1", address: { street: "a", city: "Oslo" } };
  await db.people.insertMany([{ id: "p", ...person }, { id: "q", ...person }]);
  await db.plain.insert({ id: "p", ...person });
  const rows = [{ id: "p", name: "A", address: { city: "Oslo" } }];
  const more = [{ id: "q", ...person, ssn: "2" }, { id: "r", name: "Cy", address: {} }];
  await db.import({ tidewire: 1, collections: { people: [...rows, ...more], plain: rows } });
  const entity = async (name, id) =>
    Object.fromEntries(Object.entries(await db[name].get(id)).filter(([key]) => !key.startsWith("$")));
  assert.deepEqual(await entity("people", "p"), { id: "p", ...person, name: "A" });
  assert.deepEqual(await entity("people", "q"), { id: "q", ...person, ssn: "2" });
  assert.deepEqual(await entity("people", "r"), more[1]);
  assert.deepEqual(await entity("plain", "p"), rows[0]);
});
