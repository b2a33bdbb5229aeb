import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { collection, FACE_CODES, openDb, TidewireError } from "../dist/index.js";
import { openWith } from "../dist/db.js";
import { fakeFactory, settled } from "./fake.mjs";
import { open, refused, todo } from "./open.mjs";

test("the same name and an equal configuration is the same instance, whatever the order of its keys", () => {
  const factory = fakeFactory();
  const one = openWith(
    { name: "same", timeoutMs: 5, retry: { initialMs: 1, maxMs: 2 }, collections: { todos: todo } },
    factory,
  );
  const two = openWith(
    { retry: { maxMs: 2, initialMs: 1 }, collections: { todos: todo }, timeoutMs: 5, name: "same" },
    factory,
  );
  assert.equal(one, two);
  for (const other of [
    { timeoutMs: 6 },
    { url: "https://x.example" },
    { collections: { todos: { schema: todo, options: { conflict: "merge" } } } },
    { collections: { cats: todo } },
  ]) {
    assert.throws(
      () =>
        openWith(
          { name: "same", timeoutMs: 5, retry: { initialMs: 1, maxMs: 2 }, collections: { todos: todo }, ...other },
          factory,
        ),
      { code: "config-differs" },
    );
  }
});

test("close() counts: the last use closes, and what was open is opened anew after it", async () => {
  const factory = fakeFactory();
  const config = { name: "counted", collections: { todos: todo } };
  const one = openWith(config, factory);
  openWith(config, factory);
  await one.todos.insert({ title: "a" });
  await one.close();
  assert.equal(factory.client.closed, undefined);
  await one.close();
  assert.equal(factory.client.closed, true);
  assert.equal((await refused(one.todos.get("a"))).code, "closed");
  assert.equal((await refused(one.todos.insert({ title: "a" }))).code, "closed");
  assert.equal(one.todos.peek("a"), undefined);
  await one.close();
  const again = openWith(config, factory);
  assert.notEqual(again, one);
  assert.equal((await again.todos.where().get()).length, 1);
});

test("closing and opening in one task keeps the store open, as StrictMode and hot reload do", async () => {
  const factory = fakeFactory();
  const config = { name: "strict", collections: { todos: todo } };
  const one = openWith(config, factory);
  await one.todos.where().get();
  const closing = one.close();
  assert.equal(openWith(config, factory), one);
  await closing;
  assert.equal(factory.client.closed, undefined);
  await one.todos.insert({ title: "a" });
});

test("a hot reload brings new validators and a new auth function into the same instance", async () => {
  const factory = fakeFactory();
  const config = { name: "hot", url: "https://x.example", auth: () => "old", collections: { todos: todo } };
  const db = openWith(config, factory);
  await db.todos.insert({ title: "a" });
  openWith(
    { ...config, auth: async () => "new", collections: { todos: z.object({ title: z.string().min(5) }) } },
    factory,
  );
  assert.equal((await refused(db.todos.insert({ title: "a" }))).code, "invalid");
  assert.equal(await factory.client.host.token("start"), "new");
});

test("a write that waits for the store is refused when the database is closed first", async () => {
  const { db } = open({ openGate: new Promise(() => undefined) });
  const write = db.todos.insert({ title: "a" });
  await db.close();
  assert.equal((await refused(write)).code, "closed");
});

test("whatever is on its way when the database is closed is refused as closed", async () => {
  const { db, factory } = open({ autoDurable: false }, { url: "https://sync.example.com" });
  await db.todos.where().get();
  const first = db.todos.insert({ title: "a" });
  factory.client.settle(1);
  await first;
  const waiting = [first.server(), db.todos.insert({ title: "b" }), first.undo().server()];
  await settled();
  const codes = waiting.map(async (write) => (await refused(write)).code);
  await db.close();
  assert.deepEqual(await Promise.all(codes), ["closed", "closed", "closed"]);
});

test("erase deletes the store and closes", async () => {
  const { db, factory } = open();
  await db.todos.insert({ title: "a" });
  await db.erase();
  assert.equal(factory.store.rows.size, 0);
  assert.equal((await refused(db.todos.get("a"))).code, "closed");
});

test("what crosses to the core: defaults, pointers for fields, the options as given", async () => {
  const { db, factory } = open(
    {},
    {
      url: "wss://sync.example.com/base/",
      timeoutMs: 5,
      collections: {
        todos: {
          schema: todo,
          options: { conflict: "merge", onReject: "keep", fields: { votes: "counter", "address.city": "server-wins" } },
        },
      },
    },
  );
  await db.todos.where().get();
  const { name, ...config } = factory.configs[0];
  assert.deepEqual(config, {
    url: "https://sync.example.com/base",
    storage: "indexeddb",
    durability: "strict",
    timeoutMs: 5,
    collections: {
      todos: { conflict: "merge", onReject: "keep", fields: { "/votes": "counter", "/address/city": "server-wins" } },
    },
  });
});

test("clear text to another machine is refused unless it is allowed", () => {
  const at = (url, more) =>
    openWith({ name: `url ${url} ${JSON.stringify(more)}`, url, collections: { todos: todo }, ...more }, fakeFactory());
  for (const url of [
    "http://example.com",
    "ws://10.0.0.1:8080",
    "http://127.0.0.1.example.com",
    "http://localhost.example.com",
  ]) {
    assert.throws(() => at(url), { code: "insecure-url" });
    at(url, { allowInsecure: true });
  }
  for (const url of [
    "http://localhost:8787",
    "ws://127.0.0.1:1",
    "http://[::1]:5",
    "http://app.localhost",
    "https://example.com",
  ])
    at(url);
  for (const url of ["nonsense", "ftp://localhost", ""]) assert.throws(() => at(url), { code: "bad-config" });
});

test("configurations that cannot be used are refused", () => {
  const make = (config) => () => openWith({ name: "bad", collections: { todos: todo }, ...config }, fakeFactory());
  for (const config of [
    { name: "" },
    { name: 5 },
    { collections: { sync: todo } },
    { collections: { then: todo } },
    { collections: { todos: {} } },
  ]) {
    assert.throws(make(config), { code: "bad-config" });
  }
});

test("sensitive fields that cannot be kept apart are refused, not stored", () => {
  const of = (sensitive) => ({ people: collection(z.object({ ssn: z.string() }), { sensitive }) });
  let count = 0;
  const make = (config) => () => openWith({ name: `hidden${(count += 1)}`, ...config }, fakeFactory());
  const noLists = ["ssn", true, {}, null];
  const noFields = [[""], ["a..b"], [".a"], ["id"], ["$rev"], ["id.a"], ["ssn", "ssn"], [["ssn"]], [5]];
  for (const sensitive of [...noLists, ...noFields]) {
    for (const storage of ["memory", "indexeddb"])
      assert.throws(make({ collections: of(sensitive), storage }), { code: "bad-config" }, JSON.stringify(sensitive));
  }
  const encrypt = { passphrase: "any" };
  for (const sensitive of [true, "", "unstored", null])
    assert.throws(make({ collections: of(["ssn"]), sensitive, encrypt }), { code: "bad-config" });
  for (const sensitive of [[], ["ssn", "address.street"], ["address.id"], undefined])
    make({ collections: of(sensitive) })();
});

test("errors of the core keep what they say", async () => {
  const { db, factory } = open();
  await db.todos.where().get();
  factory.client.query = () => {
    throw Object.assign(new Error("no"), {
      code: "bad-query",
      retryable: false,
      hint: "no",
      collection: "todos",
      path: "/x",
    });
  };
  const error = await refused(db.todos.where({ done: true }).get());
  assert.ok(error instanceof TidewireError && error instanceof Error);
  assert.deepEqual(
    [error.code, error.hint, error.message, error.collection, error.path],
    ["bad-query", "no", "no", "todos", "/x"],
  );
  assert.equal(new Set(FACE_CODES).size, FACE_CODES.length);
});

test("events reach those who listen, and stop when told to", async () => {
  const { db, factory } = open();
  const seen = [];
  const stop = db.on("conflict", (event) => seen.push(event.overwritten[0].path));
  await db.todos.where().get();
  const event = {
    type: "conflict",
    collection: "todos",
    id: "a",
    overwritten: [{ path: "/title", yours: 1, kept: 2 }],
  };
  factory.client.emit([event]);
  stop();
  factory.client.emit([event]);
  assert.deepEqual(seen, ["/title"]);
});

test("on a server nothing loads, nothing hangs, and instances are not shared between requests", async () => {
  const config = { name: "ssr", url: "https://x.example", collections: { todos: todo } };
  const db = openDb(config);
  assert.notEqual(openDb(config), db);
  assert.equal(db.todos.peek("a"), undefined);
  assert.equal(db.todos.where().peek(), undefined);
  assert.equal(db.sync.status.peek(), undefined);
  db.todos.where().subscribe(() => assert.fail())();
  for (const promise of [
    db.todos.get("a"),
    db.todos.insert({ title: "a" }),
    db.sync.now(),
    db.sync.done(),
    db.export(),
    db.sync.pause(),
  ]) {
    assert.equal((await refused(promise)).code, "server-side");
  }
  await settled();
  await db.close();
});
