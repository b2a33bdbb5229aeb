/** What a peer makes of a backend whose answers come late, in pieces, wrong, or not at all. No HTTP: scripted calls. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BackendError } from "../dist/backend/index.js";
import { inc } from "../dist/index.js";
import { closing } from "./backend/conformance.mjs";
import { device, rows, synced, until } from "./backend/open.mjs";

const owns = closing();

/** A backend in memory: rows by id with counted versions, a list of all changes, and hooks before each call. */
function scripted({ versions = true } = {}) {
  const script = { rows: new Map(), log: [], pulls: [], edits: [], before: { pull: undefined, push: undefined } };
  const row = (id) => {
    const { value, version, deleted } = script.rows.get(id);
    return { id, ...(versions && { version: String(version) }), ...(deleted ? { deleted } : { value }) };
  };
  script.put = (id, value, deleted = false) => {
    script.rows.set(id, { value, deleted, version: (script.rows.get(id)?.version ?? 0) + 1 });
    script.log.push(id);
  };
  script.backend = {
    pull: async ({ collection, since, limit }) => {
      if (collection !== "todos") return { rows: [] };
      script.pulls.push(since);
      const from = since ?? 0;
      const ids = script.log.slice(from, from + limit);
      const page = { rows: ids.map(row), next: from + ids.length, more: from + ids.length < script.log.length };
      return (await script.before.pull?.(page, since)) ?? page;
    },
    push: async (edit) => {
      script.edits.push(edit);
      const answer = await script.before.push?.(edit);
      if (answer !== undefined) return answer;
      const now = script.rows.get(edit.id);
      const there = now !== undefined && !now.deleted;
      const fits = edit.kind === "insert" ? !there : there && (!versions || edit.ifVersion === String(now.version));
      if (!fits) return { conflict: there ? row(edit.id) : null };
      script.put(edit.id, edit.value, edit.kind === "delete");
      return versions ? { version: row(edit.id).version } : {};
    },
  };
  return script;
}

const open = (script, options) => owns(device(script.backend, options));

test("a list that was read before a write and comes after it takes nothing back, and is read again", async () => {
  const script = scripted();
  script.put("1", { n: 1 });
  const db = open(script);
  await synced(db);
  script.put("1", { n: 2 });
  script.put("2", { n: 0 });
  let deliver;
  script.before.pull = (page) => new Promise((resolve) => (deliver = () => resolve(page)));
  await until("the old list is on its way", () => deliver !== undefined);
  script.before.pull = undefined;
  await db.todos.update("1", { m: 1 });
  const seen = [];
  db.todos.live("1").subscribe((row) => seen.push(row.m), { flush: "sync" });
  await until("stored", () => script.rows.get("1").version === 3);
  deliver();
  await synced(db);
  assert.deepEqual(script.rows.get("1").value, { n: 2, m: 1 });
  await until("both are shown", async () => (await rows(db)).size === 2);
  assert.deepEqual((await rows(db)).get("1"), { n: 2, m: 1 });
  assert.ok(seen.every((m) => m === 1), "one's own reads never go backwards");
});

test("a first list of many pages goes on where it was cut", async () => {
  const script = scripted();
  for (let n = 0; n < 1_200; n += 1) script.put(`${n}`, { n });
  let cuts = 0;
  script.before.pull = (_page, since) => {
    if (since === 500 && (cuts += 1) <= 2) throw new TypeError("the line broke");
  };
  const db = open(script);
  await synced(db);
  assert.equal((await rows(db)).size, 1_200);
  assert.deepEqual(script.pulls.slice(0, 5), [null, 500, 500, 500, 1_000]);
});

test("a place in the list that the backend does not know any more: all is read again, what is gone goes", async () => {
  const script = scripted();
  for (const id of ["1", "2", "3"]) script.put(id, { id });
  const db = open(script);
  await synced(db);
  // The list was cut and begins anew; nobody is told that 2 was deleted.
  script.rows.delete("2");
  script.log = ["1", "3", "4"];
  script.rows.set("4", { value: { n: 4 }, version: 1 });
  script.before.pull = (_page, since) => {
    if (since === 3 && script.log.length === 3 && !script.pulls.includes(null, 1)) throw new BackendError(410);
  };
  await until("as the list is now", async () => [...(await rows(db)).keys()].join() === "1,3,4");
  await synced(db);
});

test("a row that is none is told, once, and keeps nobody else away", async () => {
  const script = scripted();
  script.put("1", { n: 1 });
  script.put("2", null);
  script.put("3", { deep: Array(70).fill(0).reduce((inner) => [inner], 0) });
  script.put("4", { n: 4 });
  const db = open(script);
  const told = [];
  db.on("watchdog", ({ code, message }) => told.push([code, /"\d"/.exec(message)?.[0]]));
  await synced(db);
  assert.deepEqual([...(await rows(db)).keys()], ["1", "4"]);
  await until("two pulls", () => script.pulls.length > 2);
  assert.deepEqual(told, [
    ["bad-response", '"2"'],
    ["bad-response", '"3"'],
  ]);
});

test("`more` without another place would never end: the pull fails and is tried again", async () => {
  const script = scripted();
  script.put("1", { n: 1 });
  script.before.pull = (page) => ({ ...page, next: 1, more: script.pulls.length < 4 });
  const db = open(script);
  await rows(db);
  await until("tried again", () => script.pulls.length >= 4);
  await synced(db);
  assert.equal((await rows(db)).size, 1);
});

test("without versions nothing is compared, and the last write wins", async () => {
  const script = scripted({ versions: false });
  script.put("1", { n: 1, m: 1 });
  const db = open(script);
  await synced(db);
  await db.todos.update("1", { n: 2 });
  await synced(db);
  await db.todos.update("1", { n: inc(1) });
  await synced(db);
  assert.deepEqual(script.rows.get("1").value, { n: 3, m: 1 });
  assert.deepEqual(script.edits.map(({ ifVersion }) => ifVersion), [undefined, undefined]);
});

test("an answer without its version is asked for by what stands there, and counts once", async () => {
  const script = scripted();
  script.put("1", { votes: 1 });
  const db = open(script);
  await synced(db);
  const { push } = script.backend;
  script.backend.push = async (edit) => {
    const answer = await push(edit);
    return "version" in answer ? {} : answer;
  };
  await db.todos.update("1", { votes: inc(1) });
  const { id } = db.todos.insert({ title: "new" });
  await synced(db);
  await db.todos.update(id, { title: "newer" });
  await synced(db);
  assert.deepEqual([script.rows.get("1").value, script.rows.get(id).value], [{ votes: 2 }, { title: "newer" }]);
  assert.deepEqual((await db.sync.queue.get()).failed, []);
});

test("an edit is asked for by one key, whose parts are the device's store and the edit's number", async () => {
  const script = scripted();
  const db = open(script);
  await synced(db);
  let failures = 2;
  script.before.push = () => {
    if ((failures -= 1) >= 0) throw new BackendError(503);
  };
  const write = db.todos.insert({ title: "a" });
  await synced(db);
  const [first, ...others] = script.edits;
  assert.equal(others.length, 2);
  assert.ok(others.every(({ key }) => key === first.key));
  assert.equal(first.key, `${first.replica}.${first.n.join(".")}`);
  assert.deepEqual([first.collection, first.id, first.kind, first.token], ["todos", write.id, "insert", null]);
  assert.deepEqual([first.value, first.changed], [{ title: "a" }, { title: "a" }]);
});

test("a transaction: what breaks goes on where it broke, and what is refused ends it", async () => {
  const script = scripted();
  for (const id of ["1", "2", "3"]) script.put(id, { votes: 0 });
  const db = open(script);
  await synced(db);
  let breaks = 1;
  script.before.push = ({ id }) => {
    if (id === "2" && (breaks -= 1) >= 0) throw new TypeError("the line broke");
  };
  await db.transaction((tx) => ["1", "2", "3"].forEach((id) => tx.todos.update(id, { votes: inc(1) })));
  await synced(db);
  assert.deepEqual(["1", "2", "3"].map((id) => script.rows.get(id).value.votes), [1, 1, 1]);
  assert.deepEqual(script.edits.map(({ id }) => id), ["1", "2", "2", "3"]);
  const rejected = { code: "invalid", message: "no", path: "/votes" };
  script.before.push = ({ id }) => (id === "2" ? { rejected } : undefined);
  await db.transaction((tx) => ["1", "2", "3"].forEach((id) => tx.todos.update(id, { votes: inc(1) })));
  await until("decided", async () => (await db.sync.queue.get()).pending.length === 0);
  const { failed } = await db.sync.queue.get();
  assert.deepEqual(
    failed.map(({ id, error }) => [id, error.code, error.path]),
    [
      ["2", "invalid", "/votes"],
      ["3", "transaction-failed", undefined],
    ],
  );
});

test("five rounds against somebody who is always quicker, then the edit waits and is tried again", async () => {
  const script = scripted();
  script.put("1", { n: 0, m: 0 });
  const db = open(script);
  await synced(db);
  script.before.push = () => {
    const { value } = script.rows.get("1");
    script.put("1", { ...value, n: value.n + 1 });
  };
  await db.todos.update("1", { m: 1 });
  await until("held", async () => (await db.sync.queue.get()).pending[0]?.status === "held");
  assert.equal(script.edits.length, 5);
  script.before.push = undefined;
  await db.sync.now();
  await synced(db);
  assert.deepEqual(script.rows.get("1").value, { n: 5, m: 1 });
});

/** Makes a scripted backend atomic: all edits of a transaction or none, checked against what stood before it. */
function atomic(script) {
  script.transactions = [];
  script.backend.pushAll = async (edits) => {
    script.transactions.push(edits.map(({ id, kind, ifVersion }) => [id, kind, ifVersion]));
    const answers = await script.before.pushAll?.(edits);
    if (answers !== undefined) return answers;
    const conflicts = edits.map(({ id, kind, ifVersion }) => {
      const now = script.rows.get(id);
      const there = now !== undefined && !now.deleted;
      const fits = kind === "insert" ? !there : ifVersion === undefined || ifVersion === String(now?.version);
      return fits ? {} : { conflict: there ? { id, version: String(now.version), value: now.value } : null };
    });
    if (conflicts.some((answer) => "conflict" in answer)) return conflicts;
    for (const { id, kind, value } of edits) script.put(id, value, kind === "delete");
    return edits.map(({ id }) => ({ version: String(script.rows.get(id).version) }));
  };
}

test("a backend that can takes a transaction whole, and again after a conflict or a lost answer", async () => {
  const script = scripted();
  atomic(script);
  for (const id of ["1", "2"]) script.put(id, { votes: 0 });
  const db = open(script, { pollMs: { visible: 60_000 } });
  await synced(db);
  const both = (by) => db.transaction((tx) => ["1", "2"].forEach((id) => tx.todos.update(id, { votes: inc(by) })));
  script.put("2", { votes: 10 });
  await both(1);
  await synced(db);
  assert.deepEqual(["1", "2"].map((id) => script.rows.get(id).value.votes), [1, 11]);
  assert.deepEqual(script.transactions, [
    [["1", "update", "1"], ["2", "update", "1"]],
    [["1", "update", "1"], ["2", "update", "2"]],
  ]);
  const { pushAll } = script.backend;
  script.backend.pushAll = async (edits) => {
    script.backend.pushAll = pushAll;
    await pushAll(edits);
    throw new TypeError("the line broke");
  };
  await both(100);
  await synced(db);
  assert.deepEqual(["1", "2"].map((id) => script.rows.get(id).value.votes), [101, 111]);
  assert.equal(script.edits.length, 0);
});

test("a transaction with several edits of one entity, and one that is refused as a whole", async () => {
  const script = scripted();
  atomic(script);
  script.put("1", { votes: 0 });
  const db = open(script);
  await synced(db);
  await db.transaction((tx) => {
    tx.todos.update("1", { votes: inc(1) });
    tx.todos.update("1", { votes: inc(1), title: "a" });
    tx.todos.insert({ id: "2", n: 1 });
    tx.todos.update("2", { n: 2 });
  });
  await synced(db);
  assert.deepEqual([script.rows.get("1").value, script.rows.get("2").value], [{ votes: 2, title: "a" }, { n: 2 }]);
  const rejected = { code: "invalid", message: "no" };
  script.before.pushAll = (edits) => edits.map(({ id }) => (id === "2" ? { rejected } : {}));
  await db.transaction((tx) => ["1", "2"].forEach((id) => tx.todos.update(id, { done: true })));
  await until("decided", async () => (await db.sync.queue.get()).pending.length === 0);
  const { failed } = await db.sync.queue.get();
  assert.deepEqual(failed.map(({ id, error }) => [id, error.code]).sort(), [
    ["1", "transaction-failed"],
    ["2", "invalid"],
  ]);
});

test("options that do not fit a backend are refused with what to do", () => {
  const { backend } = scripted();
  const refused = (options) => assert.throws(() => open({ backend }, options), { code: "bad-config" });
  refused({ url: "https://sync.example.com" });
  refused({ rate: { concurrency: 0 } });
  refused({ rate: { minIntervalMs: -1 } });
  refused({ settings: { conflict: "manual" } });
  refused({ settings: { fields: { title: () => "ask" } } });
  refused({ settings: { replicate: "none" } });
  assert.throws(() => open({ backend: { pull: backend.pull } }), { code: "bad-config" });
  assert.throws(() => open({ backend: undefined }, { rate: {} }), { code: "bad-config" });
});

test("an increment whose answer was lost, and which a pull brings before it is tried again, counts once", async () => {
  const script = scripted();
  script.put("1", { votes: 1 });
  const db = open(script, { retry: { initialMs: 2_000, maxMs: 2_000 }, pollMs: { visible: 10 } });
  await synced(db);
  const { push } = script.backend;
  script.backend.push = async (edit) => {
    script.backend.push = push;
    await push(edit);
    throw new TypeError("the line broke");
  };
  await db.todos.update("1", { votes: inc(1), tag: "mine" });
  await until("stored", () => script.rows.get("1").value.votes === 2);
  const pulls = script.pulls.length;
  await until("read", () => script.pulls.length > pulls + 2);
  await db.sync.now();
  await synced(db);
  assert.deepEqual(script.rows.get("1").value, { votes: 2, tag: "mine" });
  assert.deepEqual(await rows(db), new Map([["1", { votes: 2, tag: "mine" }]]));
});
