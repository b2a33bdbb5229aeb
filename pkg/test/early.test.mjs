/** First pages that are known before the store is open. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { settled } from "./fake.mjs";
import { guarded } from "./guarded.mjs";
import { open } from "./open.mjs";

const row = (id, title) => ({ id, title, $sync: { status: "synced" }, $rev: 1, $updatedAt: 1 });
const ROWS = [row("a", "first"), row("b", "second")];

/** A database that opens when it is let, over a store with these rows, and its first page. */
function opening() {
  let letOpen;
  const openGate = new Promise((resolve) => (letOpen = resolve));
  const store = { rows: new Map(ROWS.map((row) => [`todos/${row.id}`, row])), queue: [], key: 0 };
  const { db, factory } = open({ openGate, store });
  const page = db.todos.where({ title: { ne: "third" } }).orderBy("title").limit(2);
  /** The engine knows the page that was asked for. */
  const answer = () => {
    const [[collection, query]] = factory.client.wants;
    assert.equal(collection, "");
    const [items, rows] = [ROWS.map(({ id }) => id), ROWS.map((row) => JSON.stringify(row))];
    factory.client.emit([{ type: "page", query, items, rows, total: 2 }]);
  };
  return { db, factory, page, answer, letOpen };
}

test("a page that is known early is given before the store is open, and its rows stay", async () => {
  const { db, factory, page, answer, letOpen } = opening();
  const asked = page.get();
  await settled();
  answer();
  const rows = await asked;
  assert.deepEqual(rows, ROWS);
  assert.deepEqual([factory.client.opened, page.peek()], [undefined, undefined]);
  letOpen();
  const now = await page.get();
  assert.deepEqual(now, ROWS);
  assert.ok(now.every((row, at) => row === rows[at]), "the same objects");
  await db.close();
});

test("an early page without what this tab writes is not given", async () => {
  const { db, page, answer, letOpen } = opening();
  const asked = page.get();
  await settled();
  db.todos.insert({ id: "0", title: "early bird" });
  answer();
  letOpen();
  assert.deepEqual((await asked).map(({ title }) => title), ["early bird", "first"]);
  await db.close();
});

test("only first pages are asked for early, and none of rows that are not whole in the store", async () => {
  const { db, factory, letOpen } = opening();
  const all = db.todos.where({ done: false }).get();
  await settled();
  assert.equal(factory.client.wants, undefined);
  letOpen();
  await all;
  await db.close();
  const { guard, main } = guarded();
  guard.want("", JSON.stringify({ c: "people", limit: 3 }));
  guard.want("", JSON.stringify({ c: "deals", limit: 3 }));
  assert.deepEqual(main.asked, [["want", JSON.stringify({ c: "deals", limit: 3 })]]);
  await guard.close();
});
