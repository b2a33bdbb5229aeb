/** The test kit: what an app's own tests do with it, without a browser, a server process or waiting. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { collection, inc } from "../dist/index.js";
import { createTestServer } from "../dist/testing/index.js";
import { serverFor, titles } from "./kit.mjs";

const todo = z.object({ title: z.string().min(1), done: z.boolean().default(false), votes: z.number().default(0) });
const collections = { todos: collection(todo, { conflict: "merge", fields: { votes: "counter" } }) };
const options = { name: "app", collections };

test("what is written offline is on the server when the device is online again", async (t) => {
  const server = await serverFor(t, { collections });
  const phone = server.device("phone", { user: "ada" });
  const db = phone.open(options);
  phone.offline();
  await db.todos.insert({ title: "Milk" });
  await server.settled();
  assert.deepEqual([db.sync.status.peek().state, db.sync.status.peek().pending], ["offline", 1]);
  assert.deepEqual(server.rows("todos"), []);

  phone.online();
  await server.settled();
  assert.deepEqual(titles(server.rows("todos")), ["Milk"]);
  assert.equal(db.sync.status.peek().state, "synced");

  const laptop = server.device("laptop", { user: "bo" }).open(options);
  assert.deepEqual(await laptop.todos.where({}).get(), []);
  await server.settled();
  assert.deepEqual(titles(await laptop.todos.where({}).get()), ["Milk"]);
});

test("an edit whose answer was lost is sent again and counts once", async (t) => {
  const server = await serverFor(t, { collections });
  const phone = server.device("phone");
  const db = phone.open(options);
  const { id } = db.todos.insert({ title: "Milk" });
  await server.settled();

  for (const [lose, votes] of [[phone.loseNextResponse, 1], [phone.loseNextRequest, 2]]) {
    lose("push");
    const before = server.requests.length;
    const write = db.todos.update(id, { votes: inc(1) });
    const verdict = write.server();
    await server.settled();
    const pushes = server.requests.slice(before).filter(({ of }) => of === "push");
    const fault = lose === phone.loseNextResponse ? "lose-response" : "lose-request";
    assert.deepEqual(pushes.map(({ status, fault }) => [status, fault]), [[undefined, fault], [200, undefined]]);
    assert.deepEqual([server.row("todos", id).votes, (await verdict).verdict], [votes, "applied"]);
  }
});

for (const [conflict, stands, lost] of [
  ["last-write-wins", "of the laptop", "of the phone"],
  ["merge", "of the laptop", "of the phone"],
  ["client-wins", "of the phone", "of the laptop"],
  ["server-wins", "of the laptop", "of the phone"],
]) {
  test(`two who write one field meet under ${conflict}`, async (t) => {
    const { server, phone, laptop, id } = await twoAtOdds(t, conflict);
    assert.equal(server.row("todos", id).title, stands);
    for (const db of [phone, laptop]) assert.equal((await db.todos.get(id)).title, stands);
    const loser = lost === "of the phone" ? phone : laptop;
    const [entry] = await loser.sync.conflicts.history.get();
    assert.deepEqual(entry.fields.map(({ mine, theirs }) => [mine, theirs]), [[lost, stands]]);
  });
}

test("under manual the value waits for its author, who decides", async (t) => {
  const { server, phone, laptop, id } = await twoAtOdds(t, "manual");
  assert.equal(server.row("todos", id).title, "of the laptop");
  const shown = await phone.todos.get(id);
  assert.deepEqual([shown.title, shown.$sync.status], ["of the phone", "conflict"]);
  const [conflict] = await phone.sync.conflicts.list.get();
  await conflict.keep("mine");
  await server.settled();
  assert.equal(server.row("todos", id).title, "of the phone");
  assert.equal((await laptop.todos.get(id)).title, "of the phone");
});

test("what a rule of the server refuses waits in the queue with its reason", async (t) => {
  const allow = ({ after, user }) => (after?.title === "Beer" ? { message: `not for ${user}`, path: "title" } : true);
  const server = await serverFor(t, { collections, allow });
  const db = server.device("phone", { user: "kid" }).open(options);
  const rejected = [];
  db.on("rejected", ({ error }) => rejected.push([error.code, error.path, error.message]));
  const [beer, milk] = [db.todos.insert({ title: "Beer" }), db.todos.insert({ title: "Milk" })];
  const verdicts = Promise.all([beer.server(), milk.server()]);
  await server.settled();
  const [first, second] = await verdicts;
  assert.deepEqual([first.verdict, first.code, second.verdict], ["rejected", "invalid", "applied"]);
  assert.deepEqual(rejected, [["invalid", "/title", "not for kid"]]);
  assert.deepEqual(titles(server.rows("todos")), ["Milk"]);
  const [entry] = await db.sync.queue.failed.get();
  const edited = db.sync.queue.edit(entry.n, { title: "Juice" });
  await edited;
  await server.settled();
  assert.deepEqual(titles(server.rows("todos")), ["Juice", "Milk"]);
});

test("tabs of a device share its store, and one of them leads; what is stored outlives them", async (t) => {
  const server = await serverFor(t, { collections });
  const phone = server.device("phone");
  const [one, two] = [phone.open(options), phone.open(options)];
  await one.todos.insert({ title: "by one" });
  await two.todos.insert({ title: "by two" });
  await server.settled();
  assert.deepEqual([one, two].map((db) => db.sync.status.peek().leader).sort(), [false, true]);
  for (const db of [one, two]) assert.deepEqual(titles(await db.todos.where({}).get()), ["by one", "by two"]);
  phone.offline();
  await one.todos.insert({ title: "left behind" });
  await phone.close();
  const again = phone.open(options);
  assert.deepEqual(titles(await again.todos.where({}).get()), ["by one", "by two", "left behind"]);
  phone.online();
  await server.settled();
  assert.equal(server.rows("todos").length, 3);
});

test("a server that is down is asked again when the clock comes to it, and not before", async (t) => {
  const server = await serverFor(t, { collections });
  const phone = server.device("phone");
  const db = phone.open(options);
  await db.todos.where({}).get();
  await server.settled();
  phone.refuseNext({ status: 503, retryAfterMs: 20_000 });
  const began = server.clock.now;
  const pushes = () => server.requests.filter(({ of }) => of === "push").map(({ at, status }) => [at - began, status]);
  await db.todos.insert({ title: "Milk" });
  await server.clock.advance(19_000);
  assert.deepEqual(pushes().map(([, status]) => status), [503]);
  assert.equal(server.rows("todos").length, 0);
  await server.clock.advance(4_000);
  assert.deepEqual(pushes().map(([, status]) => status), [503, 200]);
  assert.ok(pushes()[1][0] >= 20_000, `${pushes()[1][0]}`);
});

test("the same test twice gives the same result", async (t) => {
  const play = async () => {
    const server = await createTestServer({ collections, seed: 7 });
    try {
      const [phone, laptop] = [server.device("phone", { user: "ada" }), server.device("laptop", { user: "bo" })];
      const [a, b] = [phone.open(options), laptop.open(options)];
      phone.delay(30);
      server.refuseNext({ status: 500 }, "pull");
      for (let count = 0; count < 5; count += 1) {
        const { id } = a.todos.insert({ title: `of a ${count}` });
        await server.clock.advance(40);
        b.todos.insert({ title: `of b ${count}` });
        if (count === 2) phone.offline();
        a.todos.update(id, { votes: inc(count) });
        laptop.duplicateFrames();
        await server.clock.advance(500);
        phone.online();
      }
      await server.settled();
      return JSON.stringify([server.rows("todos"), server.requests, server.clock.now]);
    } finally {
      await server.close();
    }
  };
  const first = await play();
  assert.equal(JSON.parse(first)[0].length, 10);
  assert.equal(await play(), first);
});

/** Two devices of two users, one of which wrote offline what the other wrote meanwhile. */
async function twoAtOdds(t, conflict) {
  const collections = { todos: collection(todo, { conflict }) };
  const server = await serverFor(t, { collections });
  const [one, two] = [server.device("phone", { user: "ada" }), server.device("laptop", { user: "bo" })];
  const [phone, laptop] = [one.open({ name: "app", collections }), two.open({ name: "app", collections })];
  const { id } = phone.todos.insert({ title: "Milk" });
  await laptop.todos.where({}).get();
  await server.settled();
  one.offline();
  await phone.todos.update(id, { title: "of the phone" });
  await server.clock.advance(1_000);
  await laptop.todos.update(id, { title: "of the laptop" });
  await server.settled();
  one.online();
  await server.settled();
  return { server, phone, laptop, id };
}
