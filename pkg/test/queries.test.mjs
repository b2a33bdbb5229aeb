/** Queries over the real module: what they answer, and that live answers follow by deltas. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { collection } from "../dist/index.js";
import { settled } from "./fake.mjs";
import { open } from "./open.mjs";
import { openReal } from "./real.mjs";

const numbers = z.object({
  n: z.number().nullable(),
  kind: z.string().optional(),
  at: z.object({ city: z.string() }).optional(),
});
const linked = {
  todos: collection(z.object({ title: z.string(), projectId: z.string().nullable() }), {
    refs: { projectId: { to: "projects", as: "project", many: "todos", onDelete: "cascade" } },
  }),
  projects: z.object({ name: z.string() }),
};
const ids = (rows) => rows.map((row) => row.id);
/** What a subscriber was told, the newest last. */
const told = (live) => {
  const all = [];
  live.subscribe((value) => all.push(value), { flush: "sync" });
  return all;
};

test("numbers are made of all rows that match, and stay current", async (t) => {
  const db = openReal(t, { things: numbers });
  await db.things.insertMany([{ n: 0.1 }, { n: 0.2 }, { n: 0.3, kind: "a" }, { n: null, kind: "a" }]);
  const all = db.things.where();
  const live = [all.count(), all.sum("n"), all.avg("n"), all.min("n"), all.max("n"), all.max("kind")];
  assert.deepEqual(await Promise.all(live.map((each) => each.get())), [4, 0.6, 0.6 / 3, 0.1, 0.3, "a"]);
  const heard = live.map(told);
  const { id } = db.things.insert({ n: 1e100 });
  assert.deepEqual(heard.map((values) => values.at(-1)), [5, 1e100, 2.5e99, 0.1, 1e100, "a"]);
  db.things.delete(id);
  assert.deepEqual(heard.map((values) => values.at(-1)), [4, 0.6, 0.6 / 3, 0.1, 0.3, "a"], "nothing is left of it");
  assert.deepEqual(heard.map((values) => values.length), [3, 3, 3, 1, 3, 1]);
  const none = db.things.where({ n: { gt: 5 } });
  const nothing = [none.count(), none.sum("n"), none.avg("n"), none.min("n")].map((each) => each.peek());
  assert.deepEqual(nothing, [0, 0, null, null]);
  assert.equal(all.limit(1).offset(2).count().peek(), 4, "without limit and offset");
});

test("groups come in the order of their values", async (t) => {
  const db = openReal(t, { things: numbers });
  const rows = [["b", 1], ["a", 2], ["b", 3], [undefined, 5]].map(([kind, n]) => ({ n, ...(kind && { kind }) }));
  await db.things.insertMany(rows);
  const groups = db.things.where().groupBy("kind");
  const counts = told(groups);
  const group = (key, value) => ({ key, value });
  assert.deepEqual(counts.at(-1), [group(null, 1), group("a", 1), group("b", 2)]);
  assert.deepEqual(groups.sum("n").peek(), [group(null, 5), group("a", 2), group("b", 4)]);
  assert.deepEqual(groups.max("n").peek(), [group(null, 5), group("a", 2), group("b", 3)]);
  const [none, a, b] = counts.at(-1);
  await db.things.where({ kind: "a" }).update({ kind: "c" });
  assert.deepEqual(counts.at(-1), [none, b, group("c", 1)]);
  assert.equal(counts.at(-1)[1], b, "a group that did not change is the same object");
  assert.deepEqual(a, group("a", 1));
});

test("pages show each row once, and one that is watched follows", async (t) => {
  const db = openReal(t, { things: numbers });
  await db.things.insertMany(Array.from({ length: 23 }, (_, n) => ({ id: `t${n}`, n: n % 7 })));
  const query = db.things.where().orderBy("n", "desc").orderBy("$id");
  const seen = [];
  for (let after; ; ) {
    const page = query.page({ size: 5, ...(after !== undefined && { after }) }).peek();
    assert.equal(page.total, 23);
    seen.push(...ids(page.rows));
    if ((after = page.next) === undefined) break;
  }
  assert.deepEqual(seen, ids(query.peek()));
  assert.equal(new Set(seen).size, 23);
  const second = query.page({ size: 5, after: query.page({ size: 5 }).peek().next });
  const heard = told(second);
  await db.things.delete(heard.at(-1).rows[0].id);
  assert.deepEqual(ids(heard.at(-1).rows), seen.slice(6, 11));
  assert.equal(heard.at(-1).total, 22);
  await db.things.update(seen[0], { n: -1 });
  assert.deepEqual(ids(heard.at(-1).rows), seen.slice(6, 11), "the page begins behind the same row");
  await assert.rejects(query.page({ size: 5, after: "x" }).get(), { code: "bad-query" });
});

test("a reference leads to one row from here, and to all rows from there", async (t) => {
  const db = openReal(t, linked);
  await db.projects.insertMany([{ id: "p1", name: "One" }, { id: "p2", name: "Two" }]);
  const of = ["p1", "p1", "p2", "gone", null];
  await db.todos.insertMany(of.map((projectId, n) => ({ id: `t${n}`, title: `${n}`, projectId })));
  const todos = told(db.todos.where().include("project"));
  const projects = told(db.projects.where().include("todos"));
  assert.deepEqual(todos.at(-1).map(({ project }) => project?.name ?? null), ["One", "One", "Two", null, null]);
  assert.deepEqual(projects.at(-1).map((row) => ids(row.todos)), [["t0", "t1"], ["t2"]]);
  assert.ok(Object.isFrozen(todos.at(-1)[0]) && Object.isFrozen(projects.at(-1)[0].todos));

  const before = todos.at(-1);
  await db.projects.update("p1", { name: "New" });
  assert.deepEqual(todos.at(-1).map(({ project }) => project?.name ?? null), ["New", "New", "Two", null, null]);
  assert.equal(todos.at(-1)[2], before[2], "what did not change is the same object");
  assert.notEqual(todos.at(-1)[0], before[0]);

  await db.todos.update("t0", { projectId: "p2" });
  assert.deepEqual(projects.at(-1).map((row) => ids(row.todos)), [["t1"], ["t0", "t2"]]);
  await db.projects.insert({ id: "gone", name: "Late" });
  assert.deepEqual(
    projects.at(-1).map((row) => [row.id, ids(row.todos)]),
    [
      ["gone", ["t3"]],
      ["p1", ["t1"]],
      ["p2", ["t0", "t2"]],
    ],
  );
  assert.equal(todos.at(-1)[3].project.name, "Late");
  const page = db.projects.where({ name: "Two" }).include("todos").page({ size: 1 }).peek();
  assert.equal(page.rows[0].todos.length, 2);
});

test("references that cannot be are refused", (t) => {
  const db = openReal(t, linked);
  assert.throws(() => db.todos.where().include("owner"), { code: "bad-query", message: /there are: project/ });
  const to = (ref) => ({ ...linked, todos: collection(linked.todos.schema, { refs: { projectId: ref } }) });
  assert.throws(() => openReal(t, to({ to: "people" })), { code: "bad-config" });
  const more = collection(linked.todos.schema, { refs: { title: { to: "projects", many: "x" } } });
  const twice = { ...to({ to: "projects", many: "x" }), more };
  assert.throws(() => openReal(t, twice), { code: "bad-config" });
});

test("a watched query learns of a change by its size, not by that of the result", async (t) => {
  const crossed = [];
  const db = openReal(t, { things: numbers }, (name, text) => crossed.push([name, text.length]));
  await db.things.insertMany(Array.from({ length: 3_000 }, (_, n) => ({ id: `t${n}`, n })));
  const lists = [db.things.where().orderBy("n"), db.things.where({ n: { gte: 0 } }).orderBy("n", "desc").limit(50)];
  const heard = lists.map(told);
  const count = told(db.things.where({ n: { lt: 100 } }).count());
  const [first] = heard[0];
  crossed.length = 0;
  db.things.update("t10", { n: 5_000 });
  const reads = crossed.filter(([name]) => name !== "write" && name !== "view");
  const bytes = reads.reduce((sum, [, length]) => sum + length, 0);
  assert.ok(bytes < 600, `${bytes} bytes`);
  assert.deepEqual([heard[0].at(-1).at(-1).id, heard[1].at(-1)[0].id, count.at(-1)], ["t10", "t10", 99]);
  assert.ok(heard[0].at(-1).slice(0, 10).every((row, index) => row === first[index]));
  const now = heard[0].at(-1);
  await db.things.update("t10", { n: 5_000 });
  assert.equal(heard[0].at(-1), now, "nothing changed");
});

test("a row that comes into an answer and goes before somebody looks moves no other", async (t) => {
  const db = openReal(t, { things: numbers });
  await db.things.insertMany(Array.from({ length: 9 }, (_, n) => ({ id: `t${n}`, n })));
  const query = db.things.where().orderBy("n");
  const lists = [query, query.limit(3), query.limit(3).offset(1)];
  for (const live of lists) live.subscribe(() => undefined);
  const now = () => lists.map((live) => ids(live.peek()));
  now();
  // While one goes, the next one takes its place in the window; then that one goes.
  for (const id of ["t1", "t3", "t4", "t0"]) db.things.delete(id);
  assert.deepEqual(now(), [["t2", "t5", "t6", "t7", "t8"], ["t2", "t5", "t6"], ["t5", "t6", "t7"]]);
  // Another query looks after each edit: the lists learn of a row that has gone since.
  told(query.count());
  db.things.update("t5", { n: 5.5 });
  db.things.delete("t5");
  db.things.update("t7", { n: 1 });
  assert.deepEqual(now(), [["t7", "t2", "t6", "t8"], ["t7", "t2", "t6"], ["t2", "t6", "t8"]]);
});

test("what nobody watches is let go", async (t) => {
  const asked = [];
  const db = openReal(t, { things: numbers }, (name, text) => name === "query" && asked.push(text));
  await db.things.insert({ n: 1 });
  const live = db.things.where().orderBy("n");
  const stop = live.subscribe(() => undefined, { flush: "sync" });
  stop();
  const again = live.subscribe(() => undefined, { flush: "sync" });
  await settled();
  db.things.insert({ n: 2 });
  assert.match(asked.at(-1), /steps/, "who watches again at once keeps the query");
  again();
  await settled();
  assert.equal(asked.at(-1), "{}");
  await db.things.insert({ n: 3 });
  assert.equal(live.peek().length, 3);
  assert.match(asked.at(-1), /items/);
});

test("changes tell what came, changed and went, and where it came from", async () => {
  const { db, factory } = open();
  await db.todos.insertMany([{ id: "a", title: "a" }, { id: "b", title: "b" }]);
  const heard = [];
  const tell = ({ added, changed, removed, origin }) => heard.push([ids(added), ids(changed), ids(removed), origin]);
  const stop = db.todos.where({ done: false }).orderBy("title").subscribeChanges(tell, { flush: "sync" });
  db.todos.insert({ id: "c", title: "c" });
  db.todos.update("a", { title: "z" });
  db.todos.update("b", { done: true });
  factory.client.remote("todos", "a", { title: "y", done: false });
  factory.client.remote("todos", "c", undefined);
  db.todos.update("a", { votes: 1 });
  stop();
  db.todos.delete("a");
  assert.deepEqual(heard, [
    [["a", "b"], [], [], "local"],
    [["c"], [], [], "local"],
    [[], ["a"], [], "local"],
    [[], [], ["b"], "local"],
    [[], ["a"], [], "remote"],
    [[], [], ["c"], "remote"],
    [[], ["a"], [], "local"],
  ]);
});

test("a bulk edit of more than 500 rows says that it is no transaction", async (t) => {
  const db = openReal(t, { things: numbers });
  await db.things.insertMany(Array.from({ length: 501 }, (_, n) => ({ n })));
  const all = await db.things.where().update({ kind: "x" });
  assert.deepEqual([all.ids.length, all.atomic], [501, false]);
  const less = await db.things.where({ n: { gt: 0 } }).delete();
  assert.deepEqual([less.ids.length, less.atomic], [500, true]);
  assert.deepEqual(ids(db.things.where().peek()), all.ids.filter((id) => !less.ids.includes(id)));
});

test("live answers equal the plainest evaluation after each of many random edits", async (t) => {
  let seed = 7;
  const random = (below) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  const pick = (list) => list[random(list.length)];
  const db = openReal(t, { things: numbers });
  await db.things.get("t0");
  const value = () => pick([null, -1, 0, 0.5, 1, 2, 3]);
  const kind = () => pick(["a", "b", "ä", "\u{1f600}", "\ue000", undefined]);
  const order = (a, b) => ((a ??= null), (b ??= null), a === b ? 0 : a === null ? -1 : b === null ? 1 : a < b ? -1 : 1);
  const queries = Array.from({ length: 16 }, (_, index) => {
    const [least, direction] = [value() ?? 0, pick(["asc", "desc"])];
    const [limit, offset] = [index % 3 === 0 ? undefined : random(6), random(3)];
    const matching = db.things.where(index % 2 === 0 ? {} : { n: { gte: least } });
    let query = matching.orderBy("kind", direction).orderBy("n").offset(offset);
    if (limit !== undefined) query = query.limit(limit);
    const naive = (rows) => {
      const found = rows.filter((row) => index % 2 === 0 || (row.n !== null && row.n >= least));
      const turn = direction === "desc" ? -1 : 1;
      found.sort((a, b) => turn * order(a.kind, b.kind) || order(a.n, b.n) || order(a.id, b.id));
      const keys = [...new Set(found.map((row) => row.kind ?? null))].sort(order);
      const counts = keys.map((key) => ({ key, value: found.filter((row) => (row.kind ?? null) === key).length }));
      const sum = found.reduce((all, row) => all + (row.n ?? 0), 0);
      return [ids(found.slice(offset, limit === undefined ? undefined : offset + limit)), found.length, sum, counts];
    };
    const heard = [told(query), told(query.count()), told(query.sum("n")), told(query.groupBy("kind"))];
    return { naive, now: () => heard.map((values, at) => (at === 0 ? ids(values.at(-1)) : values.at(-1))) };
  });
  const known = new Set();
  for (let step = 0; step < 200; step += 1) {
    const id = `t${random(40)}`;
    const edit = { n: value(), kind: kind() };
    if (!known.has(id)) db.things.insert({ id, n: edit.n, ...(edit.kind !== undefined && { kind: edit.kind }) });
    else if (random(3) === 0) db.things.delete(id);
    else db.things.update(id, edit);
    if (db.things.peek(id) === undefined) known.delete(id);
    else known.add(id);
    if (step % 40 === 0) await settled();
    const rows = await db.things.getMany([...known]);
    for (const { naive, now } of queries) assert.deepEqual(now(), naive(rows), `step ${step}`);
  }
});
