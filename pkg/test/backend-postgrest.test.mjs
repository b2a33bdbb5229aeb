/** The example of a database behind PostgREST, over a server that speaks as much of it as the example does. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { postgrestBackend } from "../examples/dist/backends/postgrest.js";
import { conforms, closing } from "./backend/conformance.mjs";
import { device, rows, synced } from "./backend/open.mjs";
import { startPostgrest } from "./backend/postgrest-server.mjs";

conforms("PostgREST", { start: startPostgrest, connect: ({ url }) => postgrestBackend(url), delivery: "exactly-once" });

const owns = closing();

test("an edit sends the columns that it changes, and null for a field that goes", async () => {
  const server = owns(await startPostgrest());
  server.put("todos", "1", { title: "old", note: "n", votes: 1 });
  const db = owns(device(postgrestBackend(server.url)));
  await synced(db);
  await db.todos.update("1", { title: "new", note: undefined });
  await synced(db);
  assert.deepEqual(server.get("todos", "1").value, { title: "new", votes: 1 });
  assert.deepEqual(await rows(db), new Map([["1", { title: "new", votes: 1 }]]));
});

test("an insert over a row that was deleted takes its place, and leaves nothing of it", async () => {
  const server = owns(await startPostgrest());
  server.put("todos", "1", { title: "old", note: "n" }, true);
  const db = owns(device(postgrestBackend(server.url)));
  await synced(db);
  await db.todos.insert({ id: "1", title: "again" });
  await synced(db);
  assert.deepEqual(server.get("todos", "1").value, { title: "again" });
  assert.equal(server.get("todos", "1").deleted, false);
});

test("an edit that was stored, and its row deleted since, is stored and not shown", async () => {
  const server = owns(await startPostgrest());
  server.put("todos", "1", { title: "old" });
  // No poll tells of it first: the edit itself meets what has become of its row.
  const db = owns(device(postgrestBackend(server.url), { pollMs: { visible: 60_000 } }));
  await synced(db);
  server.faults.push("lost");
  await db.todos.update("1", { title: "new" });
  server.before = async ({ method }) => {
    if (method !== "GET" && server.writes.length === 1) server.put("todos", "1", { title: "new" }, true);
  };
  await synced(db);
  assert.deepEqual((await db.sync.queue.get()).failed, []);
  assert.equal((await rows(db)).size, 0);
  assert.equal(server.writes.length, 1);
});
