/** An app's own tests with the test kit, in Vitest. */
import { inc } from "tidewire";
import { createTestServer, type TestServer } from "tidewire/testing";
import { afterEach, beforeEach, expect, test } from "vitest";
import { options } from "./options.js";

const { collections } = options;
let server: TestServer<typeof collections>;
beforeEach(async () => {
  server = await createTestServer({ collections });
});
afterEach(() => server.close());

test("what is written on a train is on the laptop when the phone is online again", async () => {
  const phone = server.device("phone", { user: "ada" });
  const db = phone.open(options);
  phone.offline();
  await db.todos.insert({ title: "Milk" });
  await server.settled();
  expect(db.sync.status.peek()).toMatchObject({ state: "offline", pending: 1 });

  phone.online();
  const laptop = server.device("laptop", { user: "ada" }).open(options);
  const seen: number[] = [];
  laptop.todos.where({}).subscribe((rows) => seen.push(rows.length), { flush: "sync" });
  await server.settled();
  expect(server.rows("todos")).toMatchObject([{ title: "Milk" }]);
  expect(seen.at(-1)).toBe(1);
});

test("a vote whose answer was lost counts once", async () => {
  const phone = server.device("phone");
  const db = phone.open(options);
  const { id } = db.todos.insert({ title: "Milk" });
  await server.settled();
  phone.loseNextResponse();
  await db.todos.update(id, { votes: inc(1) });
  await server.settled();
  expect(server.row("todos", id)).toMatchObject({ votes: 1 });
  expect(server.requests.filter(({ fault }) => fault === "lose-response")).toHaveLength(1);
});

test("two who rename one thing: the second is asked", async () => {
  const phone = server.device("phone", { user: "ada" });
  const [ada, bo] = [phone.open(options), server.device("laptop", { user: "bo" }).open(options)];
  const { id } = ada.todos.insert({ title: "Milk" });
  await bo.todos.where({}).get();
  await server.settled();
  phone.offline();
  await ada.todos.update(id, { title: "Oat milk" });
  await bo.todos.update(id, { title: "Soy milk" });
  await server.settled();
  phone.online();
  await server.settled();
  const [conflict] = await ada.sync.conflicts.list.get();
  expect(conflict?.fields).toMatchObject([{ mine: "Oat milk", theirs: "Soy milk" }]);
  await conflict?.keep("mine");
  await server.settled();
  expect((await bo.todos.get(id))?.title).toBe("Oat milk");
});

test("an hour without a server passes in no time", async () => {
  const db = server.device("phone").open(options);
  await db.todos.insert({ title: "Milk" });
  await server.settled();
  server.offline();
  const began = performance.now();
  await server.clock.advance(3_600_000);
  expect((await db.sync.health.get()).healthy).toBe(false);
  expect(performance.now() - began).toBeLessThan(10_000);
  server.online();
  await server.settled();
  expect(db.sync.status.peek()?.state).toBe("synced");
});
