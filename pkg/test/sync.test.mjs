import assert from "node:assert/strict";
import { test } from "node:test";
import { settled } from "./fake.mjs";
import { open, refused } from "./open.mjs";

const URL = { url: "https://sync.example.com" };

test("status is one object until it changes", async () => {
  const { db, factory } = open({}, URL);
  const status = await db.sync.status.get();
  assert.equal(status.state, "synced");
  factory.client.setStatus({});
  assert.equal(db.sync.status.peek(), status);
  const seen = [];
  db.sync.status.subscribe((value) => seen.push(value.state), { flush: "sync" });
  factory.client.setStatus({ state: "paused", reason: "auth" });
  factory.client.setStatus({ state: "connecting" });
  assert.deepEqual(seen, ["synced", "paused", "connecting"]);
  assert.equal(db.sync.status.peek().attempt, 0);
});

test("the counts in the status follow the rows, though the connection is as before", async () => {
  const { db, factory } = open({}, URL);
  await db.sync.status.get();
  factory.client.setStatus({ failed: 1 });
  assert.equal(db.sync.status.peek().failed, 1);
  factory.client.status.failed = 0;
  factory.client.emit([{ type: "changed", collection: "todos", ids: [], origin: "local" }]);
  assert.equal(db.sync.status.peek().failed, 0);
});

test("now() resolves when all is in step after it was called, and rejects where there is no connection", async () => {
  const { db, factory } = open({}, URL);
  const now = db.sync.now();
  await settled();
  assert.deepEqual(factory.client.commands, [{ do: "now" }]);
  factory.client.setStatus({ state: "syncing" });
  factory.client.setStatus({ state: "synced", at: Date.now() });
  await now;
  await settled();
  assert.equal((await refused(db.sync.now({ timeoutMs: 5 }))).code, "timeout");
  factory.client.setStatus({ state: "offline", since: 1 });
  assert.equal((await refused(db.sync.now())).code, "offline");
  assert.equal((await refused(db.sync.now({ signal: AbortSignal.abort() }))).code, "aborted");
  assert.equal((await refused(open().db.sync.now())).code, "offline");
});

test("done() waits until nothing is pending and counts what was refused", async () => {
  const { db, factory } = open({ status: { pending: 2, failed: 0 } }, URL);
  const done = db.sync.done();
  await settled();
  factory.client.setStatus({ pending: 0, failed: 1 });
  assert.deepEqual(await done, { failed: 1 });
  factory.client.setStatus({ pending: 3 });
  const control = new AbortController();
  const waiting = db.sync.done({ signal: control.signal });
  control.abort();
  assert.equal((await refused(waiting)).code, "aborted");
  const offline = db.sync.done();
  factory.client.setStatus({ state: "offline", since: 1 });
  assert.equal((await refused(offline)).code, "offline");
});

test("done() with nothing pending resolves, also offline", async () => {
  const { db } = open({ status: { state: "offline", since: 1, pending: 0, failed: 2 } }, URL);
  assert.deepEqual(await db.sync.done(), { failed: 2 });
});

test("the queue is live, and its entries can be sent again, edited and dropped", async () => {
  const { db, factory } = open({}, URL);
  const entry = {
    n: [4, 0],
    collection: "todos",
    id: "a",
    kind: "insert",
    status: "failed",
    at: 1,
    attempts: 1,
    error: { code: "invalid", message: "no" },
  };
  await db.sync.queue.get();
  const seen = [];
  db.sync.queue.failed.subscribe((list) => seen.push(list.length), { flush: "sync" });
  const pending = db.sync.queue.list.peek();
  factory.client.failed = [entry];
  factory.client.emit([{ type: "queue" }]);
  assert.deepEqual(seen, [0, 1]);
  assert.equal(db.sync.queue.list.peek(), pending);
  assert.deepEqual(db.sync.queue.peek().failed, [entry]);
  await db.sync.queue.retry([4, 0]);
  await db.sync.queue.edit([4, 0], { title: "b", "address.city": undefined });
  await db.sync.queue.discard([4, 0]);
  assert.deepEqual(factory.client.commands, [
    { do: "retry", n: [4, 0] },
    { do: "edit", n: [4, 0], set: { "/title": "b" }, unset: ["/address/city"] },
    { do: "discard", n: [4, 0] },
  ]);
});

test("pause and resume reach the core", async () => {
  const { db, factory } = open({}, URL);
  await db.sync.pause();
  await db.sync.resume();
  assert.deepEqual(factory.client.commands, [{ do: "pause" }, { do: "resume" }]);
});
