/** Natural keys: what two devices make of the same thing is one, under either id, and nothing flickers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { collection } from "../dist/index.js";
import { serverFor } from "./kit.mjs";

const collections = {
  people: collection(z.object({ email: z.string(), name: z.string().optional(), city: z.string().optional() }), {
    naturalKey: [["email"]],
  }),
  deals: collection(z.object({ title: z.string(), personId: z.string().nullable() }), {
    refs: { personId: { to: "people", as: "person", onDelete: "set-null" } },
  }),
};
const options = { name: "app", collections };

test("an id that became another's works in reads, live reads, queries, writes and references", async (t) => {
  const server = await serverFor(t, { collections });
  const phone = server.device("phone");
  const laptop = server.device("laptop");
  const there = laptop.open(options);
  const { id: kept } = there.people.insert({ email: "ada@x.org", name: "Ada" });
  await server.settled();

  const db = phone.open(options);
  phone.offline();
  const { id: old } = db.people.insert({ email: " ADA@x.org", city: "Ulm" });
  await db.deals.insert({ title: "boat", personId: old });
  const remaps = [];
  db.on("remap", (event) => remaps.push(event));
  const seen = [];
  db.people.live(old).subscribe((row) => seen.push([row?.id, row?.name, row?.city]), { flush: "sync" });
  const boats = db.deals.where({ personId: old });
  const titles = [];
  boats.subscribe((rows) => titles.push(rows.map(({ title }) => title)), { flush: "sync" });
  phone.online();
  await server.settled();

  assert.deepEqual(remaps.map(({ collection, from, to }) => [collection, from, to]), [["people", old, kept]]);
  assert.deepEqual(seen[0], [old, undefined, "Ulm"]);
  assert.deepEqual(seen.at(-1), [kept, "Ada", "Ulm"]);
  assert.ok(seen.every(([id]) => id !== undefined), `it was never away: ${JSON.stringify(seen)}`);
  assert.ok(titles.every((all) => all.length === 1), `nor was what refers to it: ${JSON.stringify(titles)}`);
  assert.equal(await db.people.get(old), await db.people.get(kept), "one row object under both ids");
  assert.deepEqual((await db.people.where({}).get()).map(({ id }) => id), [kept]);
  assert.deepEqual((await db.deals.where({}).include("person").get()).map(({ person }) => person.id), [kept]);

  // Others change it: who watches the old id hears of it.
  await there.people.update(kept, { name: "Ada L." });
  await server.settled();
  assert.deepEqual(seen.at(-1), [kept, "Ada L.", "Ulm"]);
  await db.people.update(old, { city: "Bonn" });
  assert.deepEqual(seen.at(-1), [kept, "Ada L.", "Bonn"]);
  await server.settled();
  assert.equal(server.row("people", kept).city, "Bonn");
  await db.people.delete(old);
  await server.settled();
  assert.deepEqual(server.rows("people"), []);
  assert.equal(server.rows("deals")[0].personId, null);
});

test("the verdict says which id it is now, and the insert is not undone by deleting what others have", async (t) => {
  const server = await serverFor(t, { collections });
  const there = server.device("laptop").open(options);
  const { id: kept } = there.people.insert({ email: "ada@x.org" });
  await server.settled();
  const db = server.device("phone").open(options);
  const write = db.people.insert({ email: "ada@x.org", name: "Ada" });
  const verdict = write.server();
  await server.settled();
  assert.deepEqual((await verdict).remap, { from: write.id, to: kept });
  await assert.rejects(async () => write.undo(), { code: "not-in-queue" });
  assert.equal(server.row("people", kept).name, "Ada");
});

test("a device that keeps nothing fetches under the id that the author of another device gave", async (t) => {
  const server = await serverFor(t, { collections });
  const { id: kept } = server.device("laptop").open(options).people.insert({ email: "ada@x.org", name: "Ada" });
  await server.settled();
  const { id: old } = server.device("phone").open(options).people.insert({ email: "ada@x.org", city: "Ulm" });
  await server.settled();
  const people = collection(collections.people.schema, { replicate: "none" });
  const none = server.device("watch").open({ name: "app", collections: { people } });
  const row = await none.people.fetch(old);
  assert.deepEqual([row.id, row.name, row.city], [kept, "Ada", "Ulm"]);
  assert.equal(await none.people.fetch(old), row, "from here on it knows");
  assert.equal(await none.people.get(old), row);
});
