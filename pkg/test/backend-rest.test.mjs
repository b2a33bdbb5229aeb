/** A plain REST API with ETags behind the engine: the example of the README, over real HTTP. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { restBackend } from "../examples/dist/backends/rest-etag.js";
import { inc } from "../dist/index.js";
import { closing, conforms } from "./backend/conformance.mjs";
import { device, rows, synced, until } from "./backend/open.mjs";
import { startRest } from "./backend/rest-server.mjs";

conforms("REST", { start: startRest, connect: ({ url }) => restBackend(url), delivery: "at-least-once" });

const remembers = true;
conforms("REST with keys", {
  start: () => startRest({ remembers }),
  connect: ({ url }) => restBackend(url, { remembers }),
  delivery: "exactly-once",
});

const owns = closing();

async function world(options) {
  const rest = owns(await startRest(options));
  return { rest, make: () => owns(device(restBackend(rest.url, { remembers: options?.remembers }))) };
}

test("an API that remembers keys is exactly-once, whatever others write meanwhile", async () => {
  const { rest, make } = await world({ remembers: true });
  rest.put("todos", "1", { votes: 1 });
  const db = make();
  assert.equal((await db.sync.status.get()).delivery, "exactly-once");
  await synced(db);
  rest.faults.push("lost", "lost");
  let others = 0;
  rest.before = async () => {
    // Right after our own edit, which we do not know of yet.
    if (rest.writes.length > others) rest.put("todos", "1", { ...rest.get("todos", "1").value, seen: (others += 1) });
  };
  await db.todos.update("1", { votes: inc(1) });
  await synced(db);
  assert.equal(rest.get("todos", "1").value.votes, 2);
  assert.equal(rest.writes.length, 1);
});

test("an API without tombstones: what is missing in a complete list was deleted", async () => {
  const { rest, make } = await world({ complete: true });
  for (const id of ["1", "2", "3"]) rest.put("todos", id, { title: id });
  const db = make();
  await synced(db);
  await db.todos.insert({ title: "mine" });
  rest.put("todos", "2", {}, true);
  await until("gone", async () => !(await rows(db)).has("2"));
  assert.equal((await rows(db)).size, 3);
});
