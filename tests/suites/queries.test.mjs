/** Live queries between devices: lists, pages, numbers and included rows follow what both write. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { scenario, useStack } from "../lib/stack.mjs";

const collections = {
  todos: { refs: { project: { to: "projects", as: "its", many: "todos" } } },
  projects: {},
};

describe("live queries", () => {
  const stack = useStack();

  scenario(stack, "follow what two devices write, as the plainest evaluation has it", async (world) => {
    const one = await world.device({ collections });
    const two = await world.device({ user: "bob", collections });
    await Promise.all([one.synced(), two.synced()]);
    for (const device of [one, two]) await device.run(watch);
    await one.run(fill);
    await two.until("all rows", async () => (await window.tw.rows("todos")).length === 40);
    await two.until("all projects", async () => (await window.tw.rows("projects")).length === 3);
    await Promise.all([one.run(edit, { seed: 1, turns: 60 }), two.run(edit, { seed: 2, turns: 60 })]);
    two.offline();
    await Promise.all([one.run(edit, { seed: 3, turns: 40 }), two.run(edit, { seed: 4, turns: 40 })]);
    assert.deepEqual(await two.run(differences), [], "while offline");
    two.online();
    await Promise.all([one.drained(), two.drained()]);
    for (const device of [one, two]) {
      await device.agrees("todos", await world.rows("todos"));
      await device.agrees("projects", await world.rows("projects"));
      assert.deepEqual(await device.run(differences), []);
    }
    assert.ok((await two.run(() => window.tw.origins)).includes("remote"), "what came from the other device says so");
    await one.reload();
    await one.run(watch);
    assert.deepEqual(await one.run(differences), [], "after a reload");
  });
});

/** Puts live queries on `window.tw.now`, each beside what it should be: made of all rows. */
async function watch() {
  const { tw } = window;
  const [todos, projects] = [tw.db.todos, tw.db.projects];
  const order = (a, b) => a.size - b.size || (a.id < b.id ? -1 : 1);
  const byName = (a, b) => (a.name === b.name ? 0 : a.name < b.name ? -1 : 1);
  const open = (rows) => rows.filter((row) => !row.done).sort(order);
  const ids = (rows) => rows.map(({ id }) => id);
  const sum = (rows) => rows.reduce((all, row) => all + row.size, 0);
  const keys = (rows) => [...new Set(rows.map((row) => row.project))].sort();
  const where = todos.where({ done: false });
  const sorted = where.orderBy("size").orderBy("$id");
  tw.pairs = {
    window: [sorted.limit(5).offset(1), (all) => ids(open(all).slice(1, 6)), ids],
    page: [
      sorted.page({ size: 4 }),
      (all) => [ids(open(all).slice(0, 4)), open(all).length],
      ({ rows, total }) => [ids(rows), total],
    ],
    count: [where.count(), (all) => open(all).length, (n) => n],
    largest: [todos.where({}).max("size"), (all) => Math.max(...all.map((row) => row.size)), (n) => n],
    groups: [
      where.groupBy("project").sum("size"),
      (all) => keys(open(all)).map((key) => [key, sum(open(all).filter((row) => row.project === key))]),
      (groups) => groups.map(({ key, value }) => [key, value]),
    ],
    its: [
      sorted.limit(6).include("its"),
      (all, of) => open(all).slice(0, 6).map((row) => [row.id, of.find(({ id }) => id === row.project)?.name ?? null]),
      (rows) => rows.map((row) => [row.id, row.its?.name ?? null]),
    ],
    many: [
      projects.where({}).orderBy("name").include("todos"),
      (all, of) => [...of].sort(byName).map(({ id }) => ids(all.filter((row) => row.project === id))),
      (rows) => rows.map((row) => ids(row.todos).sort()),
    ],
  };
  tw.now = {};
  for (const [name, [live]] of Object.entries(tw.pairs))
    live.subscribe((value) => (tw.now[name] = value), { flush: name === "page" ? "frame" : "sync" });
  tw.followed = new Map();
  tw.origins = [];
  where.subscribeChanges(
    ({ added, changed, removed, origin }) => {
      tw.origins.push(origin);
      for (const row of removed) if (!tw.followed.delete(row.id)) tw.errors.push(`${row.id} was not there`);
      for (const row of added) tw.followed.set(row.id, row);
      for (const row of changed) tw.followed.set(row.id, row);
    },
    { flush: "sync" },
  );
  await todos.where({}).get();
}

async function fill() {
  const { db } = window.tw;
  await db.projects.insertMany(["p1", "p2", "p3"].map((id, at) => ({ id, name: `Project ${3 - at}` })));
  const todo = (n) => ({ id: `t${n}`, size: n % 7, done: n % 3 === 0, project: `p${(n % 4) + 1}` });
  await db.todos.insertMany(Array.from({ length: 40 }, (_, n) => todo(n)));
}

/** Random edits; those of an entity that the other device deleted are refused, here or there. */
async function edit({ seed, turns }) {
  const { db } = window.tw;
  let state = seed * 7_919;
  const random = (below) => (state = (state * 48_271) % 2_147_483_647) % below;
  for (let turn = 0; turn < turns; turn += 1) {
    const id = `t${random(50)}`;
    const value = { size: random(9), done: random(2) === 0, project: `p${random(4) + 1}` };
    const kind = random(8);
    if (kind === 0) await db.projects.update(`p${random(3) + 1}`, { name: `Project ${random(100)} of ${seed}` });
    else if (db.todos.peek(id) === undefined) await db.todos.insert({ ...value, id: `${id}-${seed}-${turn}` });
    else if (kind === 1) await db.todos.delete(id);
    else if (kind === 2) await db.todos.where({ size: value.size, done: false }).update({ project: value.project });
    else await db.todos.update(id, value);
  }
}

/** The names of live answers that are not what all rows say. */
async function differences() {
  const { tw } = window;
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
  const [todos, projects] = await Promise.all([tw.rows("todos"), tw.rows("projects")]);
  const text = (value) => JSON.stringify(value);
  const wrong = Object.entries(tw.pairs).flatMap(([name, [, naive, plain]]) => {
    const [found, expected] = [text(plain(tw.now[name])), text(naive(todos, projects))];
    return found === expected ? [] : [`${name}: ${found} is not ${expected}`];
  });
  const open = todos.filter((row) => !row.done);
  const followed = [...tw.followed.values()].map(tw.plain).sort((a, b) => (a.id < b.id ? -1 : 1));
  if (text(followed) !== text(open)) wrong.push(`changes: ${text(followed)} is not ${text(open)}`);
  return [...wrong, ...tw.errors];
}
