/**
 * What is measured. `target` is what the project's plan asks of Tidewire: `(own, of) => wanted`, where `of(adapter)` is
 * that adapter's median at the same durability and `of.best()` the best peer's; smaller or larger as `better` says.
 */

/** @typedef {{ key: string, title: string, unit: string, better: "higher" | "lower", group: string }} Figure */

const larger = { better: "higher", unit: "/s" };
const smaller = { better: "lower", unit: "ms" };

export const FIGURES = [
  {
    key: "start",
    title: "Module start → first durable insert",
    group: "writes",
    ...smaller,
    durable: true,
    wanted: "raw IndexedDB + 30 ms",
    target: (of) => of("indexeddb") + 30,
  },
  {
    key: "awaited-inserts",
    title: "{each} inserts, each awaited",
    group: "writes",
    ...larger,
    durable: true,
    wanted: "0.95 x raw IndexedDB",
    target: (of) => 0.95 * of("indexeddb"),
  },
  {
    key: "awaited-patches",
    title: "{each} patches of {patched}, each awaited",
    group: "writes",
    ...larger,
    durable: true,
    wanted: "1.3 x raw IndexedDB",
    target: (of) => 1.3 * of("indexeddb"),
  },
  {
    key: "bulk-insert",
    title: "Insert of {large} documents in one call",
    group: "writes",
    ...larger,
    durable: true,
    wanted: "12 x raw IndexedDB, 3 x the best peer",
    target: (of) => Math.max(12 * of("indexeddb"), 3 * of.best()),
  },
  {
    key: "patches-at-once",
    title: "{patched} one-field patches at once",
    group: "writes",
    ...larger,
    durable: true,
    wanted: "1.8 x the best peer",
    target: (of) => 1.8 * of.best(),
  },
  {
    key: "cold-get",
    title: "Cold open with {large}, at once after the insert: first get",
    group: "opening",
    ...smaller,
    wanted: "0.5 x Dexie",
    target: (of) => 0.5 * of("dexie"),
  },
  {
    key: "cold-page",
    title: "Cold open with {large}, at once after the insert: first page",
    group: "opening",
    ...smaller,
    wanted: "0.8 x Dexie",
    target: (of) => 0.8 * of("dexie"),
  },
  {
    key: "later-get",
    title: "Cold open with {large}, after idle work: first get",
    group: "opening",
    ...smaller,
    wanted: "0.5 x Dexie",
    target: (of) => 0.5 * of("dexie"),
  },
  {
    key: "later-page",
    title: "Cold open with {large}, after idle work: first page",
    group: "opening",
    ...smaller,
    wanted: "0.8 x Dexie",
    target: (of) => 0.8 * of("dexie"),
  },
  {
    key: "get-first",
    title: "Get by id, {large} stored, the first time",
    group: "reads",
    ...larger,
    wanted: "200,000/s",
    target: () => 200_000,
  },
  {
    key: "get-again",
    title: "Get by id, {large} stored, again",
    group: "reads",
    ...larger,
    wanted: "TanStack DB's",
    target: (of) => of("tanstack"),
  },
  {
    key: "page",
    title: "Page of 50 with a new threshold, {large} stored",
    group: "reads",
    ...smaller,
    wanted: "0.5 ms",
    target: () => 0.5,
  },
  {
    key: "page-huge",
    title: "Page of 50 with a new threshold, {huge} stored",
    group: "reads",
    ...smaller,
    wanted: "1 ms",
    target: () => 1,
  },
  {
    key: "count-by",
    title: "Count for each status, {huge} stored",
    group: "reads",
    ...smaller,
    needs: "countBy",
    wanted: "3 ms",
    target: () => 3,
  },
  {
    key: "rollup",
    title: "Sum for each of 1,000 parents, {huge} stored",
    group: "reads",
    ...smaller,
    needs: "rollup",
    wanted: "5 ms",
    target: () => 5,
  },
  {
    key: "joined",
    title: "Page of 100 with its parents, {huge} stored",
    group: "reads",
    ...smaller,
    needs: "joined",
    wanted: "5 ms",
    target: () => 5,
  },
  {
    key: "live-p50",
    title: "Live query, {large} stored: patch → callback, p50",
    group: "live",
    ...smaller,
    needs: "live",
    wanted: "TanStack DB's",
    target: (of) => of("tanstack"),
  },
  {
    key: "live-p99",
    title: "Live query, {large} stored: patch → callback, p99",
    group: "live",
    ...smaller,
    needs: "live",
    wanted: "TanStack DB's",
    target: (of) => of("tanstack"),
  },
  { key: "live-frame-p50", title: "The same with the frame, p50", group: "live", ...smaller, needs: "frames" },
  {
    key: "memory",
    title: "Renderer, {large} stored, after as many gets, a live query open",
    group: "live",
    better: "lower",
    unit: "MB",
    wanted: "80 MB",
    target: () => 80,
  },
  {
    key: "pull",
    title: "First pull of {large} documents into an empty device, durable",
    group: "sync",
    better: "lower",
    unit: "s",
    wanted: "0.9 s",
    target: () => 0.9,
  },
  {
    key: "pull-huge",
    title: "First pull of {huge}",
    group: "sync",
    better: "lower",
    unit: "s",
    wanted: "1.6 s",
    target: () => 1.6,
  },
  {
    key: "pull-first",
    title: "First pull of {large}: first rows",
    group: "sync",
    ...smaller,
    wanted: "200 ms",
    target: () => 200,
  },
  {
    key: "pull-longest",
    title: "First pull of {large}: longest task",
    group: "sync",
    ...smaller,
    wanted: "50 ms",
    target: () => 50,
  },
  {
    key: "drain-few",
    title: "Drain of {each} queued writes",
    group: "sync",
    ...smaller,
    wanted: "100 ms",
    target: () => 100,
  },
  {
    key: "drain-many",
    title: "Drain of {patched} queued writes",
    group: "sync",
    ...smaller,
    wanted: "500 ms",
    target: () => 500,
  },
  {
    key: "latency-p50",
    title: "A → B, two browsers' profiles on this machine, p50",
    group: "sync",
    ...smaller,
    wanted: "4 ms",
    target: () => 4,
  },
  { key: "latency-p99", title: "A → B, p99", group: "sync", ...smaller, wanted: "16 ms", target: () => 16 },
];

/** The figure of that name. */
export const figure = (key) => FIGURES.find((one) => one.key === key);

/** A title with the sizes of this run. */
export function titleOf({ title }, sizes) {
  return title.replace(/\{(\w+)\}/g, (_, name) => sizes[name].toLocaleString("en"));
}

/**
 * How a cost grows with the number of documents: the power of it that fits best (0: flat, 1: in proportion). Points are
 * `[documents, cost]`.
 */
export function growthOf(points) {
  const logs = points.map((point) => point.map(Math.log));
  const mean = (at) => logs.reduce((sum, log) => sum + log[at], 0) / logs.length;
  const [x, y] = [mean(0), mean(1)];
  const over = logs.reduce((sum, log) => sum + (log[0] - x) * (log[1] - y), 0);
  return over / logs.reduce((sum, log) => sum + (log[0] - x) ** 2, 0);
}

/** Median of numbers. */
export function median(values) {
  return quantile(values, 0.5);
}

/** The value below which that share of the values lies, the nearest one. */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  if (share === 0.5 && sorted.length % 2 === 0)
    return (sorted[sorted.length / 2 - 1] + sorted[sorted.length / 2]) / 2;
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}
