/**
 * What runs in a page that is going to die: it writes without end, and says on its console what it began, what stands
 * in an open transaction of the log, and what was acknowledged. Every write carries a mark, `w` and a number; a mark is
 * in the stored bytes, so that the transaction of a write can be told.
 */

/** Single writes and transactions take turns, by the number of the write. */
export const KINDS = ["notes", "entries", "counters", "parts"];
export const kindOf = (mark) => KINDS[Number(mark.slice(1)) % KINDS.length];
export const ACCOUNTS = 6;
export const MONEY = 1_000;
/** Rows in one transaction of `parts`. */
export const PARTS = 5;
export const COLLECTIONS = { notes: {}, entries: {}, counters: {}, parts: {}, accounts: {} };

/**
 * Runs before the page: follows each transaction that puts marks of this page into the log for the first time, from the
 * put to its end. With `window.hold` the next one is kept open for ever, as a disk that does not answer would keep it.
 */
export function watchLog() {
  const page = /** @type {any} */ (window);
  const marks = new WeakMap();
  const seen = new Set();
  const isNew = (mark) => !seen.has(mark) && Number(mark.slice(1)) >= (page.from ?? Infinity);
  const { put } = IDBObjectStore.prototype;
  const { commit } = IDBTransaction.prototype;
  IDBObjectStore.prototype.put = function (value, ...key) {
    const request = put.call(this, value, ...key);
    const text = this.name === "log" && value instanceof Uint8Array ? new TextDecoder().decode(value) : "";
    const found = [...new Set((text.match(/"w\d+"/g) ?? []).map((mark) => JSON.parse(mark)))].filter(isNew);
    if (found.length === 0) return request;
    found.forEach((mark) => seen.add(mark));
    const { transaction } = this;
    if (!marks.has(transaction))
      transaction.addEventListener("complete", () => console.log(`stored ${marks.get(transaction)}`));
    marks.set(transaction, [...(marks.get(transaction) ?? []), ...found]);
    console.log(`put ${found}`);
    return request;
  };
  IDBTransaction.prototype.commit = function () {
    if (!page.hold || !marks.has(this)) return commit.call(this);
    page.hold = false;
    const log = this.objectStore("log");
    const again = () => void (log.count().onsuccess = again);
    again();
    console.log(`held ${marks.get(this)}`);
  };
}

/** What the writes are about; the first of a new profile. */
export async function begin({ accounts, money }) {
  const { db } = window.tw;
  await db.transaction((tx) => {
    for (let i = 0; i < accounts; i += 1) tx.accounts.insert({ id: `a${i}`, money });
    for (let i = 0; i < 10; i += 1) tx.counters.insert({ id: `c${i}`, count: 0, marks: [] });
  });
}

/** Three writes are on their way at any time; their numbers go on from `from`. */
export function writeWithoutEnd({ from, kinds, accounts, parts }) {
  const { db, inc, add } = window.tw;
  let next = from;
  /** @type {any} */ (window).from = from;
  const writes = {
    notes: (mark) => db.notes.insert({ mark, text: "x".repeat(100) }),
    counters: (mark, k) => db.counters.update(`c${k % 10}`, { count: inc(1), marks: add(mark) }),
    parts: (mark) =>
      db.transaction((tx) => {
        for (let part = 0; part < parts; part += 1) tx.parts.insert({ mark, part });
      }),
    entries: (mark, k) =>
      db.transaction((tx) => {
        const [from, to, amount] = [`a${k % accounts}`, `a${(k + 1) % accounts}`, 1 + (k % 7)];
        tx.accounts.update(from, { money: inc(-amount) });
        tx.entries.insert({ mark, from, to, amount });
        tx.accounts.update(to, { money: inc(amount) });
      }),
  };
  const lane = async () => {
    for (;;) {
      const k = next;
      next += 1;
      console.log(`begun w${k}`);
      await writes[kinds[k % kinds.length]](`w${k}`, k);
      console.log(`acked w${k}`);
    }
  };
  for (let i = 0; i < 3; i += 1) void lane();
}
