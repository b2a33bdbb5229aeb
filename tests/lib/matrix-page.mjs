/**
 * What a client of the matrix does in its page. Registers: every key has a field for each client, in which that client
 * alone writes, always more than it has seen at that key; the key's value is the largest (max-write-wins). Each write
 * says what it was written with (`at`), what its author wrote before (`before`) and what it had seen (`saw`), so that
 * every look at the rows can tell whether reads go back, a transaction is torn or an effect stands before its cause.
 * Transfers: money moves between two accounts, and a list of that client's gets the transfer, in one transaction.
 */

export const COLLECTIONS = { keys: {}, accounts: {}, lists: {} };
export const KEYS = 10;
export const ACCOUNTS = 6;
export const MONEY = 1_000;

/** The rows that all clients work on. */
export async function setUp({ keys, accounts, clients, money }) {
  const { db } = window.tw;
  await db.transaction((tx) => {
    for (let i = 0; i < keys; i += 1) tx.keys.insert({ id: `k${i}` });
    for (let i = 0; i < accounts; i += 1) tx.accounts.insert({ id: `a${i}`, money });
    for (let i = 0; i < clients; i += 1) tx.lists.insert({ id: `l${i}`, items: [] });
  });
}

/** Whether all of them are here. */
export async function isSetUp({ keys, accounts, clients }) {
  const count = async (name) => (await window.tw.rows(name)).length;
  const counts = [await count("keys"), await count("accounts"), await count("lists")];
  return counts.join() === [keys, accounts, clients].join();
}

/**
 * Looks at the rows from now on, also while nothing is written; `own` is what this client was acknowledged in a page
 * that died: the number of its last write at each key.
 */
export function look({ me, money, own }) {
  const page = /** @type {any} */ (window);
  const { db } = window.tw;
  const queries = ["keys", "accounts", "lists"].map((name) => db[name].where({}));
  for (const query of queries) query.subscribe(() => undefined);
  const last = new Map();
  const mine = new Map(Object.entries(own));
  const seen = new Map();
  const found = (what) => {
    if (page.violations.length >= 20) return;
    page.violations.push(what);
    console.log(`violation ${what}`);
  };
  const isField = (name) => /^c\d+$/.test(name);
  const checkKeys = (rows) => {
    const at = new Map(rows.map((row) => [row.id, row]));
    const has = (key, client, s) => (at.get(key)?.[client]?.s ?? 0) >= s;
    const fields = rows.flatMap((row) => Object.keys(row).filter(isField).map((client) => [row, client, row[client]]));
    for (const [, client, { s }] of fields) seen.set(client, Math.max(seen.get(client) ?? 0, s));
    for (const [row, client, { s, at, before, saw }] of fields) {
      const cell = `${row.id}/${client}`;
      if (s < (last.get(cell) ?? 0)) found(`went back: ${cell} from ${last.get(cell)} to ${s}`);
      last.set(cell, s);
      for (const key of at) if (!has(key, client, s)) found(`torn: ${client}'s ${s} is at ${row.id} and not at ${key}`);
      for (const key of before?.at ?? [])
        if (!has(key, client, before.s)) found(`out of order: ${client}'s ${s} without its ${before.s} at ${key}`);
      for (const [other, seq] of Object.entries(saw))
        if ((seen.get(other) ?? 0) < seq) found(`before its cause: ${client}'s ${s} without ${other}'s ${seq}`);
    }
    for (const [key, s] of mine) if (!has(key, `c${me}`, s)) found(`own write ${s} at ${key} is not shown`);
  };
  const move = (want, item) => {
    const [, from, to, amount] = item.split(":");
    want.set(from, want.get(from) - Number(amount));
    want.set(to, want.get(to) + Number(amount));
  };
  const checkMoney = (accounts, lists) => {
    const want = new Map(accounts.map(({ id }) => [id, money]));
    const items = lists.flatMap((list) => list.items);
    if (new Set(items).size !== items.length) found("a transfer stands twice in a list");
    items.forEach((item) => move(want, item));
    for (const { id, money: has } of accounts)
      if (has !== want.get(id)) found(`money: ${id} has ${has}, transfers say ${want.get(id)}`);
  };
  Object.assign(page, { violations: [], looks: 0, seen, mine });
  page.look = () => {
    const [keys, accounts, lists] = queries.map((query) => query.peek());
    checkKeys(keys);
    checkMoney(accounts, lists);
    page.looks += 1;
    return keys;
  };
}

/** Waits for the first answers, then works: `count` transactions, each when it is due, those of a pause at once. */
export function work({ me, first, count, everyMs, keys, accounts, seed, start }) {
  const page = /** @type {any} */ (window);
  const { db, add, inc } = window.tw;
  let state = seed >>> 0;
  const random = (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
  const two = (name, of) => {
    const one = random(of);
    return [`${name}${one}`, `${name}${(one + 1 + random(of - 1)) % of}`];
  };
  let before;
  const register = async (s) => {
    const at = two("k", keys);
    const rows = new Map(page.look().map((row) => [row.id, row]));
    const { [`c${me}`]: _, ...saw } = Object.fromEntries(page.seen);
    const next = (key) => 1 + Math.max(0, ...Object.values(rows.get(key)).map((field) => field?.v ?? 0));
    const values = at.map((key) => [key, { s, v: next(key), at, before, saw }]);
    console.log(`begun key ${s} ${at}`);
    const write = db.transaction((tx) => {
      for (const [key, value] of values) tx.keys.update(key, { [`c${me}`]: value });
    });
    await write;
    for (const key of at) page.mine.set(key, s);
    before = { s, at };
    console.log(`acked key ${s} ${at}`);
  };
  const transfer = async (s) => {
    const [from, to] = two("a", accounts);
    const amount = 1 + random(9);
    const item = `c${me}-${s}:${from}:${to}:${amount}`;
    page.look();
    console.log(`begun item ${s} ${item}`);
    const write = db.transaction((tx) => {
      tx.accounts.update(from, { money: inc(-amount) });
      tx.lists.update(`l${me}`, { items: add(item) });
      tx.accounts.update(to, { money: inc(amount) });
    });
    await write;
    console.log(`acked item ${s} ${item}`);
  };
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const run = async () => {
    for (let i = 0; i < count; i += 1) {
      while (Date.now() < start + i * everyMs) {
        await sleep(Math.min(50, Math.max(1, start + i * everyMs - Date.now())));
        page.look();
      }
      await (random(5) < 3 ? register : transfer)(first + i);
    }
    console.log("work done");
    for (;;) {
      await sleep(100);
      page.look();
    }
  };
  void run();
}
