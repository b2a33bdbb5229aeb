/**
 * What the pages of one profile began and what was acknowledged to them, by what they said until they died; and what
 * has to be true of the rows, on the device and on the server.
 */
import assert from "node:assert/strict";

import { ACCOUNTS, COLLECTIONS, MONEY, PARTS, kindOf } from "./crash-page.mjs";

/** Over all profiles of a campaign. */
export class Tally {
  crashes = 0;
  /** Crashes in which the page had put something into the log and had not heard that it is stored. */
  open = 0;
  /** ... in which nothing of that is there afterwards: the transaction was open beyond doubt. */
  rolledBack = 0;
  acked = 0;
  lost = 0;
  partial = 0;
  doubled = 0;
  began = performance.now();

  toString() {
    const { crashes, open, rolledBack, acked, lost, partial, doubled } = this;
    const seconds = ((performance.now() - this.began) / 1_000).toFixed(0);
    return [
      `${crashes} crashes, ${open} inside an open transaction (${rolledBack} of them rolled back)`,
      `${acked} writes acknowledged, ${lost} lost, ${partial} partial, ${doubled} doubled`,
      `${seconds} s`,
    ].join("; ");
  }
}

export class Ledger {
  acked = new Set();
  next = 0;
  /** Of the page that died last: what was in transactions of which it did not hear the end; in one that was held. */
  open = [];
  held = [];
  #tally;

  constructor(tally) {
    this.#tally = tally;
  }

  /** Takes what a page said until it died. */
  close(lines) {
    const { begun, acked, put, stored, held } = said(lines);
    for (const mark of acked) this.acked.add(mark);
    this.open = put.filter((mark) => !stored.includes(mark));
    this.held = held;
    // What it did not come to say any more was fewer than these.
    this.next = Math.max(this.next, ...begun.map((mark) => Number(mark.slice(1)) + 1)) + 1_000;
    this.#tally.crashes += 1;
    this.#tally.acked += acked.length;
    if (this.open.length > 0) this.#tally.open += 1;
  }

  /** What a page that was opened after a crash finds. */
  afterCrash(rows) {
    const there = marksIn(rows);
    const kept = this.open.filter((mark) => there.has(mark));
    if (this.open.length > 0 && kept.length === 0) this.#tally.rolledBack += 1;
    assert.deepEqual(this.held.filter((mark) => there.has(mark)), [], "what a transaction held is rolled back with it");
    this.check(rows);
  }

  /** Nothing acknowledged is lost, each transaction is there as a whole or not at all, everything counts once. */
  check(rows) {
    const there = marksIn(rows);
    const lost = [...this.acked].filter((mark) => !there.has(mark));
    const { partial, doubled } = faultsIn(rows);
    this.#tally.lost += lost.length;
    this.#tally.partial += partial.length;
    this.#tally.doubled += doubled.length;
    assert.deepEqual({ lost, partial, doubled }, { lost: [], partial: [], doubled: [] });
  }
}

function said(lines) {
  /** @type {Record<string, string[]>} */
  const words = { begun: [], acked: [], put: [], stored: [], held: [] };
  for (const line of lines) {
    const found = /^log: (begun|acked|put|stored|held) (w[\dw,]+)$/.exec(line);
    if (found) words[found[1]].push(...found[2].split(","));
  }
  return words;
}

/** How often each mark stands in the rows; those of `parts` count for each of their rows. */
function marksIn(rows) {
  const counts = new Map();
  const count = (mark) => counts.set(mark, (counts.get(mark) ?? 0) + 1);
  for (const name of ["notes", "entries", "parts"]) rows[name].forEach((row) => count(row.mark));
  for (const { marks } of rows.counters) marks.forEach(count);
  return counts;
}

function faultsIn(rows) {
  const partial = [];
  const doubled = [];
  for (const [mark, count] of marksIn(rows)) {
    const whole = kindOf(mark) === "parts" ? PARTS : 1;
    if (count < whole) partial.push(mark);
    if (count > whole) doubled.push(mark);
  }
  for (const { id, count, marks } of rows.counters) if (count !== marks.length) doubled.push(`${id}: ${count}`);
  // Every account has what the entries that stand say, so each transfer counts once and as a whole.
  const money = Object.fromEntries(Array.from({ length: ACCOUNTS }, (_, i) => [`a${i}`, MONEY]));
  for (const { from, to, amount } of rows.entries) {
    money[from] -= amount;
    money[to] += amount;
  }
  for (const row of rows.accounts) if (row.money !== money[row.id]) partial.push(`${row.id}: ${row.money}`);
  if (rows.accounts.length !== ACCOUNTS || rows.counters.length !== 10) partial.push("the first transaction");
  return { partial, doubled };
}

/** The rows of all collections, as a tab shows them. */
export async function rowsOf(tab) {
  const lists = await Promise.all(Object.keys(COLLECTIONS).map(async (name) => [name, await tab.rows(name)]));
  return Object.fromEntries(lists);
}

/** The rows of all collections, as the server has them. */
export async function storedRows(world) {
  const list = async (name) => [...(await world.rows(name))].map(([id, row]) => ({ id, ...row }));
  return Object.fromEntries(await Promise.all(Object.keys(COLLECTIONS).map(async (name) => [name, await list(name)])));
}
