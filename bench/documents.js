/**
 * The documents of every workload, and the answers that every adapter must give. All of it follows from a seed, so that
 * each library stores the same bytes and is asked the same questions.
 */

/** Parents of the documents: orders belong to customers. */
export const CUSTOMERS = 1_000;
export const STATUSES = ["open", "packed", "sent", "closed"];
export const PAGE_ROWS = 50;
export const JOINED_ROWS = 100;
/** Amounts are below this. */
export const AMOUNT_MAX = 10_000;

const START = Date.UTC(2025, 0, 1);
const CITIES = ["Oslo", "Bergen", "Lisbon", "Porto", "Graz", "Linz", "Lyon", "Nantes"];
const WORDS = "amber birch cedar delta ember fjord grove haven inlet juniper kelp larch maple north oak pine".split(
  " ",
);

/** A small generator of numbers from 0 to 1 (mulberry32). */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** The id of the document at `index`: time-ordered, then random, as a UUIDv7 is. */
export function idOf(index) {
  const next = random(index + 1);
  const hex = () =>
    Math.floor(next() * 4_294_967_296)
      .toString(16)
      .padStart(8, "0");
  const time = (START + index * 1_000).toString(16).padStart(12, "0");
  const [a, b] = [hex(), hex() + hex()];
  return `${time.slice(0, 8)}-${time.slice(8)}-7${a.slice(0, 3)}-8${a.slice(3, 6)}-${b.slice(0, 12)}`;
}

/** The id of a customer. */
export const customerId = (index) => `customer-${String(index).padStart(5, "0")}`;

/** A customer. */
export const customer = (index) => ({
  id: customerId(index),
  name: `${WORDS[index % WORDS.length]} ${WORDS[(index >> 4) % WORDS.length]} Ltd`,
  region: CITIES[index % CITIES.length],
});

/** All customers. */
export const customers = () => Array.from({ length: CUSTOMERS }, (_, index) => customer(index));

/** The document at `index`: 14 fields, about 460 bytes of JSON. No two have the same `createdAt`. */
export function documentOf(index) {
  const next = random(0x51ab5eed ^ Math.imul(index + 1, 0x9e3779b1));
  const pick = (list) => list[Math.floor(next() * list.length)];
  const words = (count) => Array.from({ length: count }, () => pick(WORDS)).join(" ");
  // A bijection below 2^20, so that newest first is not the order of insertion, and ties do not exist.
  const createdAt = START + (Math.imul(index, 0x9e3779b1) & 0xfffff) * 1_000;
  return {
    id: idOf(index),
    customerId: customerId(Math.floor(next() * CUSTOMERS)),
    title: `Order ${index} ${words(3)}`,
    status: pick(STATUSES),
    amount: Math.floor(next() * AMOUNT_MAX),
    currency: pick(["EUR", "NOK", "USD"]),
    createdAt,
    updatedAt: createdAt + Math.floor(next() * 86_400_000),
    owner: `user-${Math.floor(next() * 200)}`,
    priority: Math.floor(next() * 5),
    done: next() < 0.5,
    tags: [pick(WORDS), pick(WORDS)],
    address: {
      street: `${pick(WORDS)} street ${Math.floor(next() * 200)}`,
      city: pick(CITIES),
      zip: `${10_000 + (index % 9_000)}`,
    },
    note: words(17),
  };
}

/** The documents from `from` up to, not with, `to`. */
export const documents = (from, to) => Array.from({ length: to - from }, (_, at) => documentOf(from + at));

/** The question of the page workload: no two of them are equal. */
export function question(turn) {
  const status = STATUSES[turn % STATUSES.length];
  return { status, amount: 1_000 + ((turn * 977) % 8_000), limit: PAGE_ROWS };
}

/** What the page must be, by looking at everything. */
export function expectedPage(docs, { status, amount, limit }) {
  return docs
    .filter((doc) => doc.status === status && doc.amount > amount)
    .sort((a, b) => b.createdAt - a.createdAt)
    .slice(0, limit)
    .map((doc) => doc.id);
}

/** How many documents of each status. */
export function expectedCounts(docs) {
  const counts = {};
  for (const { status } of docs) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

/** The ten customers with the largest sum of amounts, as `[id, sum]`; ties by id. */
export function topCustomers(sums) {
  return [...sums].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, 10);
}

/** What the rollup must be. */
export function expectedRollup(docs) {
  const sums = new Map();
  for (const { customerId: id, amount } of docs) sums.set(id, (sums.get(id) ?? 0) + amount);
  return topCustomers(sums);
}

/** What the joined page must be: the newest documents of a status as `[id, name of the customer]`. */
export function expectedJoin(docs, status) {
  const names = new Map(customers().map((one) => [one.id, one.name]));
  return expectedPage(docs, { status, amount: -1, limit: JOINED_ROWS }).map((id) => {
    const doc = docs.find((one) => one.id === id);
    return [id, names.get(doc.customerId)];
  });
}

/** Text that is equal for equal values, whatever the order of their keys. */
export function canonical(value) {
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "undefined";
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const keys = Object.keys(value)
    .filter((key) => value[key] !== undefined)
    .sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
}
