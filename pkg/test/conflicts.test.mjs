import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
// Loaded when they are needed; here a test must not wait for that.
import "../dist/conflict-book.js";
import "../dist/conflict-functions.js";
import { collection } from "../dist/index.js";
import { settled } from "./fake.mjs";
import { open, refused, todo } from "./open.mjs";

const URL = { url: "https://sync.example.com" };
const NOW = Date.now();

/** A conflict as the core tells it. */
const parked = (path, more = {}) => ({
  id: `00-0007-${path}`,
  c: "todos",
  e: "a",
  state: "open",
  path,
  base: "old",
  yours: "mine",
  kept: "theirs",
  own: true,
  at: NOW,
  ...more,
});
const lost = (e, seq, path = "/title") =>
  parked(path, { id: `${e}-${seq}-${path}`, e, state: "lost", at: NOW - 1_000 + seq });

async function openWith(config = {}, fake = {}) {
  const { db, factory } = open(fake, { ...URL, ...config });
  await db.sync.status.get();
  factory.client.remote("todos", "a", { title: "mine", done: false, votes: 1, tags: [] });
  return { db, client: factory.client, factory };
}

test("open conflicts are live: what waits, against what, and both rows", async () => {
  const { db, client } = await openWith();
  assert.deepEqual(await db.sync.conflicts.list.get(), []);
  const seen = [];
  db.sync.conflicts.list.subscribe((list) => seen.push(list.length), { flush: "sync" });
  const votes = { yours: 1, kept: 2, base: 0, at: NOW + 5, rounds: 2 };
  client.conflict(parked("/title", { by: "r2" }), parked("/votes", votes));
  assert.deepEqual(seen, [0, 1], "one for the entity");
  const [one] = db.sync.conflicts.list.peek();
  assert.deepEqual([one.collection, one.id, one.state, one.at], ["todos", "a", "open", NOW + 5]);
  assert.deepEqual(one.fields[0], {
    conflict: "00-0007-/title",
    path: "/title",
    base: "old",
    mine: "mine",
    theirs: "theirs",
    by: "r2",
    own: true,
    at: NOW,
    rounds: 0,
  });
  assert.equal(one.fields[1].rounds, 2);
  assert.deepEqual([one.mine.title, one.theirs.title, one.theirs.votes], ["mine", "theirs", 2]);
  assert.equal(one.mine, db.todos.peek("a"));
  assert.ok(Object.isFrozen(one) && Object.isFrozen(one.fields) && Object.isFrozen(one.theirs));
  client.emit([{ type: "changed", collection: "todos", ids: ["b"], origin: "remote" }]);
  assert.equal(db.sync.conflicts.list.peek()[0], one, "the same object while nothing of it changes");
});

test("a field that one side has not got is absent in its row", async () => {
  const { db, client } = await openWith();
  client.remote("todos", "a", { title: "t", due: "today", address: { city: "Oslo" } });
  client.conflict(
    parked("/due", { yours: "today", kept: undefined }),
    parked("/address/city", { yours: "Oslo", kept: null }),
  );
  const [one] = await db.sync.conflicts.list.get();
  assert.equal("due" in one.theirs, false);
  assert.deepEqual(one.theirs.address, { city: null });
  assert.equal("theirs" in one.fields[0], false);
});

test("keep mine, theirs, some fields, or an edited row: an edit of what stands", async () => {
  const { db, client } = await openWith();
  const both = () => {
    client.remote("todos", "a", { title: "mine", done: false, votes: 1, tags: [] });
    client.conflict(parked("/title"), parked("/votes", { yours: 1, kept: 2, base: 0 }));
  };
  const ids = ["00-0007-/title", "00-0007-/votes"];
  const sent = () => client.lastRequest.ops[0];
  const patch = { op: "patch", c: "todos", id: "a", unset: [] };
  both();
  const [one] = await db.sync.conflicts.get();
  const write = one.keep("mine");
  assert.equal(write.id, "a");
  await write;
  assert.deepEqual(sent(), { ...patch, set: { "/title": "mine", "/votes": 1 }, resolves: ids });
  assert.deepEqual(db.sync.conflicts.list.peek(), [], "decided at once");
  both();
  await db.sync.conflicts.keep(one.key, "theirs", { paths: ["/votes"] });
  assert.deepEqual(sent(), { ...patch, set: {}, resolves: [ids[1]] });
  assert.deepEqual(db.sync.conflicts.list.peek()[0].fields.length, 1);
  assert.equal(db.todos.peek("a").votes, 2);
  both();
  await db.sync.conflicts.keep(one.key, { ...db.todos.peek("a"), title: "both", votes: 2, due: "now" });
  assert.deepEqual(sent().set, { "/title": "both", "/due": "now" }, "what differs from theirs; no id, no $ facts");
  both();
  await db.sync.conflicts.keep(one.key, { title: "one", votes: 9 }, { paths: ["/title"] });
  assert.deepEqual(sent(), { ...patch, set: { "/title": "one" }, resolves: [ids[0]] }, "only the fields asked for");
  const undoing = one.keep("mine", { paths: ["/votes"] }).undo();
  await undoing;
  assert.equal(client.undone, client.writes - 1);
});

test("what was removed is removed again, and what is decided is what stands at that time", async () => {
  const { db, client } = await openWith();
  client.remote("todos", "a", { title: "mine", address: {} });
  client.conflict(parked("/address/city", { yours: undefined, kept: "Oslo" }));
  const [one] = await db.sync.conflicts.get();
  client.conflict(parked("/address/city", { yours: undefined, kept: "Bergen", rounds: 1 }));
  await one.keep("mine");
  assert.deepEqual(client.lastRequest.ops[0].unset, ["/address/city"]);
});

test("what cannot be decided says why", async () => {
  const { db, client } = await openWith();
  client.conflict(parked("/title"));
  const [one] = await db.sync.conflicts.get();
  assert.equal((await refused(db.sync.conflicts.keep("nothing", "mine"))).code, "not-found");
  assert.equal((await refused(one.keep("mine", { paths: ["/done"] }))).code, "bad-path");
  assert.equal((await refused(one.keep("mine", { paths: [] }))).code, "bad-path");
  assert.equal((await refused(one.keep({ ...one.theirs, title: "" }))).code, "invalid");
  assert.equal((await refused(one.keep({ title: 1n }))).code, "bad-value");
  assert.equal(client.calls.write, 0, "nothing was written");
  await one.keep("theirs");
  assert.equal((await refused(one.keep("mine"))).code, "not-found", "it was decided");
  client.conflict(parked("/title"));
  client.remote("todos", "a", undefined);
  const error = await refused(one.keep("mine"));
  assert.deepEqual([error.code, error.collection, error.id], ["not-found", "todos", "a"]);
  assert.equal(db.sync.conflicts.list.peek().length, 0, "nobody can decide about what is gone");
  assert.equal((await refused(db.sync.conflicts.history.peek()[0].restore())).code, "deleted");
  client.remote("todos", "a", { title: "t", address: "here" });
  client.conflict(parked("/address/city"));
  assert.equal((await refused(db.sync.conflicts.list.peek()[0].keep("mine"))).code, "bad-path", "it does not fit");
});

test("the history has what lost and what was decided, newest first; a lost value is put back", async () => {
  const { db, client } = await openWith();
  client.remote("todos", "b", { title: "b" });
  client.conflict(
    lost("a", 1),
    lost("b", 3),
    lost("a", 2, "/votes"),
    lost("a", 2, "/due"),
    parked("/tags"),
    parked("/done", { state: "closed", at: NOW - 31 * 24 * 3_600_000 }),
  );
  const history = await db.sync.conflicts.history.get();
  const brief = (list) => list.map(({ id, state, fields }) => [id, state, fields.map(({ path }) => path).join()]);
  assert.deepEqual(brief(history), [
    ["b", "lost", "/title"],
    ["a", "lost", "/votes,/due"],
    ["a", "lost", "/title"],
  ]);
  assert.deepEqual(brief(db.todos.history("a").peek()), brief(history).slice(1));
  assert.equal(db.sync.conflicts.peek()[0].state, "open");
  assert.equal(history[0].mine, db.todos.peek("b"));
  await history[0].restore();
  assert.deepEqual(client.lastRequest.ops[0], {
    op: "patch",
    c: "todos",
    id: "b",
    set: { "/title": "mine" },
    unset: [],
    resolves: ["b-3-/title"],
  });
});

test("a decided value can be put in again, and that decides nothing anew", async () => {
  const { db, client } = await openWith();
  client.remote("todos", "a", { title: "theirs" });
  client.conflict(parked("/title", { state: "closed" }));
  const [one] = await db.sync.conflicts.history.get();
  await one.restore();
  const { set, resolves } = client.lastRequest.ops[0];
  assert.deepEqual([set, resolves], [{ "/title": "mine" }, []]);
});

test("an event tells of values that wait and of those that lost", async () => {
  const { db, client } = await openWith();
  const seen = [];
  db.on("conflict", (event) => seen.push(event));
  client.emit([{ type: "conflict", collection: "todos", id: "a", open: ["/title"] }]);
  assert.deepEqual(seen[0].open, ["/title"]);
});

const withFunction = (conflict, more = {}) => ({ collections: { todos: collection(todo, { conflict, ...more }) } });

test("a conflict function is manual for the core, and decides with rows that are plain and frozen", async () => {
  const asked = [];
  const decide = (args) => (asked.push(args), { ...args.theirs, title: `${args.mine.title}+${args.theirs.title}` });
  const { db, client, factory } = await openWith(withFunction(decide));
  assert.equal(factory.configs[0].collections.todos.conflict, "manual");
  client.conflict(parked("/title"));
  await settled();
  assert.equal(asked.length, 1);
  const rest = { done: false, votes: 1, tags: [] };
  assert.deepEqual(asked[0], {
    base: { title: "old", ...rest },
    mine: { title: "mine", ...rest },
    theirs: { title: "theirs", ...rest },
    fields: ["/title"],
  });
  assert.ok(Object.isFrozen(asked[0].mine) && Object.isFrozen(asked[0].theirs) && Object.isFrozen(asked[0].base));
  assert.deepEqual(client.lastRequest.ops[0].set, { "/title": "mine+theirs" });
  assert.deepEqual(db.sync.conflicts.list.peek(), []);
});

test("a conflict function is asked once about a state, and again about another rival", async () => {
  const asked = [];
  const { client } = await openWith(withFunction(({ theirs }) => (asked.push(theirs.title), "ask")));
  const park = (values) => client.conflict(parked("/title", values));
  park();
  await settled();
  park({ yours: "edited in place" });
  await settled();
  park({ kept: "newer", rounds: 1 });
  await settled();
  park({ kept: "newest", rounds: 5 });
  await settled();
  assert.deepEqual(asked, ["theirs", "newer"], "after five rounds it is the person's");
  assert.equal(client.calls.write, 0);
});

test("a conflict function is asked at the start, on the device of the edit, in the tab that leads", async () => {
  let asked = 0;
  const config = withFunction(() => ((asked += 1), "ask"));
  const row = { id: "a", title: "mine", $sync: { status: "conflict" }, $rev: 1, $updatedAt: 1 };
  const store = () => ({ rows: new Map([["todos/a", row]]), queue: [], key: 0 });
  const fake = (more) => ({ conflicts: [parked("/title")], store: store(), ...more });
  await openWith(config, fake());
  await settled();
  assert.equal(asked, 1, "it waited since before the reload");
  const { client } = await openWith(config, fake({ status: { leader: false } }));
  await settled();
  assert.equal(asked, 1, "another tab leads");
  client.setStatus({ leader: true });
  await settled();
  assert.equal(asked, 2);
  await openWith(config, fake({ conflicts: [parked("/title", { own: false })] }));
  await settled();
  assert.equal(asked, 2, "another device made the edit");
});

test("fields that are manual by themselves are left to the person", async () => {
  const asked = [];
  const decide = ({ fields, theirs }) => (asked.push(fields), { ...theirs, votes: 7 });
  const { db, client } = await openWith(withFunction(decide, { fields: { address: "manual" } }));
  client.remote("todos", "a", { title: "mine", votes: 1, address: { city: "mine" } });
  client.conflict(parked("/title"), parked("/address/city"));
  await settled();
  assert.deepEqual(asked, [["/title"]]);
  assert.deepEqual(client.lastRequest.ops[0].set, { "/votes": 7 });
  assert.deepEqual(client.lastRequest.ops[0].resolves, ["00-0007-/title"]);
  assert.deepEqual(
    db.sync.conflicts.list.peek()[0].fields.map(({ path }) => path),
    ["/address/city"],
  );
});

test("a conflict function that fails leaves the conflict open and is reported", async () => {
  const answers = [
    () => {
      throw new Error("no idea");
    },
    () => Promise.resolve({}),
    () => 7,
    () => ({ title: "" }),
    ({ mine }) => (mine.tags.push("x"), mine),
  ];
  for (const answer of answers) {
    const { db, client } = await openWith(withFunction(answer));
    const seen = [];
    db.on("watchdog", (event) => seen.push(event.code));
    client.conflict(parked("/title"));
    await settled();
    assert.deepEqual(seen, ["conflict-function"], String(answer));
    assert.equal(db.sync.conflicts.list.peek().length, 1);
  }
});

test("a database with a conflict function opens nothing by itself", async () => {
  const { factory } = open({}, { ...URL, ...withFunction(() => "ask") });
  await settled();
  assert.equal(factory.clients.length, 0);
});

test("the name of the conflicts' own collection is refused", () => {
  assert.throws(() => open({}, { collections: { $conflicts: z.object({}) } }), { code: "bad-config" });
});
