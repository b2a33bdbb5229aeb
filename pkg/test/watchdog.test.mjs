/** What an app hears of the watchdog, from the engine through to events and health. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { createTestServer } from "../dist/testing/index.js";

const collections = { todos: z.object({ title: z.string() }) };

/** A device whose pushes are refused from now on, though the server answers. */
async function stalled(t, options = {}) {
  const server = await createTestServer({ collections });
  t.after(() => server.close());
  const phone = server.device("phone");
  const db = phone.open({ name: "app", collections, ...options });
  await db.todos.where({}).get();
  await server.settled();
  const events = [];
  db.on("watchdog", (event) => events.push(event));
  for (let count = 0; count < 500; count += 1) phone.refuseNext({ status: 503 });
  await db.todos.insert({ title: "stands still" });
  return { server, phone, db, events };
}

test("an edit that does not get through is an event, a reason, and a repair that is remembered", async (t) => {
  const { server, db, events } = await stalled(t);
  await server.clock.advance(295_000);
  assert.deepEqual(events, []);
  await server.clock.advance(10_000);
  const [{ code, message, ageMs }, ...more] = events;
  assert.deepEqual([code, more], ["stalled-queue", []]);
  assert.equal(message, "the oldest edit does not get through: the connection is made anew");
  assert.ok(ageMs >= 300_000 && ageMs < 310_000, `${ageMs}`);
  const { healthy, reasons, repairs } = await db.sync.health.get();
  assert.equal(healthy, false);
  assert.ok(reasons.includes("the oldest edit does not get through: the connection is made anew"), `${reasons}`);
  assert.deepEqual(repairs.map(({ code, at }) => [code, server.clock.now - at < 10_000]), [["stalled-queue", true]]);
  assert.equal((await db.sync.metrics.get()).recoveries, 1);
});

test("how long an edit may wait is an option, and what it is not about is no finding", async (t) => {
  const { server, phone, db, events } = await stalled(t, { health: { pendingMs: 30_000 } });
  await server.clock.advance(35_000);
  assert.deepEqual(events.map(({ code }) => code), ["stalled-queue"]);
  phone.offline();
  await server.clock.advance(3_600_000);
  assert.equal(events.length, 1, "without a connection nothing is late");
  assert.ok(!(await db.sync.health.get()).reasons.some((reason) => reason.includes("get through")));
});
