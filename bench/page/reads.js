/** Steps that read. */
import {
  AMOUNT_MAX,
  expectedCounts,
  expectedJoin,
  expectedRollup,
  customers,
  idOf,
  question,
  random,
  STATUSES,
} from "../documents.js";
import { allDocuments, checkDocument, checkPage, forgetDocuments, same } from "./check.js";

/** A cold open: ms from the start of the library's module to the first `get`, and to the first page after it. */
export async function coldOpen(state, { count, turn, ...options }) {
  const index = Math.floor(random(turn + 1)() * count);
  const ask = question(turn);
  const from = performance.now();
  const store = await state.open(options);
  const row = await store.get(idOf(index));
  const get = performance.now() - from;
  const rows = await store.page(ask);
  const page = performance.now() - from;
  if (row?.id !== idOf(index)) throw new Error(`wrong result: get after a cold open gave ${JSON.stringify(row)}`);
  await checkDocument(store, index);
  checkPage(rows, count, ask);
  forgetDocuments();
  return { get, page };
}

/** Gets of distinct random ids, then the same again: how many in how many ms. Ends early after `budgetMs`. */
export async function gets({ store }, { of, count, budgetMs, seed }) {
  const next = random(seed);
  const chosen = new Set();
  while (chosen.size < Math.min(count, of)) chosen.add(Math.floor(next() * of));
  const ids = [...chosen].map(idOf);
  const pass = async (some) => {
    const from = performance.now();
    let done = 0;
    let wrong = 0;
    for (const id of some) {
      let row = store.get(id);
      if (typeof row?.then === "function") row = await row;
      if (row.id !== id) wrong += 1;
      done += 1;
      if ((done & 255) === 0 && performance.now() - from > budgetMs) break;
    }
    const ms = performance.now() - from;
    if (wrong > 0) throw new Error(`wrong result: ${wrong} gets gave another document`);
    return { count: done, ms };
  };
  const first = await pass(ids);
  const again = await pass(ids.slice(0, first.count));
  return { first, again };
}

/** Pages, each with a new threshold: ms of each. Ends early after `budgetMs`. */
export async function pages({ store }, { of, turns, budgetMs }) {
  const samples = [];
  const until = performance.now() + budgetMs;
  for (let turn = 0; turn < turns && (turn < 3 || performance.now() < until); turn += 1) {
    const ask = question(turn + 10);
    const from = performance.now();
    const rows = await store.page(ask);
    samples.push(performance.now() - from);
    if (turn % 10 === 0) checkPage(rows, of, ask);
  }
  forgetDocuments();
  return samples;
}

/**
 * Grouped count, rollup for each parent, or a joined page: ms of each run. One document is changed before each run, so
 * that no answer can be the one before.
 */
export async function aggregate({ store }, { what, of, turns, budgetMs }) {
  const docs = [...allDocuments(of)];
  const samples = [];
  const until = performance.now() + budgetMs;
  for (let turn = 0; turn < turns && (turn < 2 || performance.now() < until); turn += 1) {
    const at = (turn * 37) % of;
    const changes = { amount: (docs[at].amount + 4_321) % AMOUNT_MAX };
    docs[at] = { ...docs[at], ...changes };
    await store.patch(docs[at].id, changes);
    const status = STATUSES[turn % STATUSES.length];
    const from = performance.now();
    const answer = await store[what](status);
    samples.push(performance.now() - from);
    if (turn < 2) same(what, answer, expected(what, docs, status));
  }
  // The next question begins with the documents as they were made.
  for (let turn = 0; turn < samples.length; turn += 1) {
    const original = allDocuments(of)[(turn * 37) % of];
    await store.patch(original.id, { amount: original.amount });
  }
  forgetDocuments();
  return samples;
}

function expected(what, docs, status) {
  if (what === "countBy") return expectedCounts(docs);
  return what === "rollup" ? expectedRollup(docs) : expectedJoin(docs, status);
}

/** Writes the parents, for rollups and joins. */
export async function fillCustomers({ store }) {
  await store.insertCustomers(customers());
}

/** A live query of 50 rows: ms from the call of a patch of one of them to the callback that shows it. */
export async function live({ store }, { samples: wanted, budgetMs, flush }) {
  const samples = [];
  let rows = [];
  let heard = () => {};
  const stop = await store.live(
    { status: "open", amount: 2_000, limit: 50 },
    (fresh) => {
      rows = fresh;
      heard();
    },
    { flush },
  );
  const shows = (found) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("the live query did not show a patch within 20 s")), 20_000);
      heard = () => {
        if (!found()) return;
        clearTimeout(timer);
        resolve();
      };
      heard();
    });
  await shows(() => rows.length === 50);
  const until = performance.now() + budgetMs;
  for (let turn = 0; turn < wanted && (turn < 5 || performance.now() < until); turn += 1) {
    const { id } = rows[turn % rows.length];
    const title = `Live ${turn} ${flush ?? ""}`;
    let at;
    const seen = shows(
      () => rows.some((row) => row.id === id && row.title === title) && ((at ??= performance.now()), true),
    );
    const from = performance.now();
    const written = store.patch(id, { title });
    await seen;
    samples.push(at - from);
    await written;
  }
  await stop();
  return samples;
}

/** Opens a live query and leaves it open, for the measure of memory. */
export async function watch({ store }) {
  await new Promise((resolve) => {
    void store.live({ status: "open", amount: 2_000, limit: 50 }, (rows) => rows.length === 50 && resolve(), {});
  });
}
