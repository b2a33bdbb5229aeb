/** Steps that sync, with a server on the same machine. */
import { documentOf, documents, idOf } from "../documents.js";
import { checkDocuments } from "./check.js";

/** Wall clock of this machine in ms, finer than `Date.now`: two pages compare their times by it. */
let base;
function wallClock() {
  if (base === undefined) {
    const from = Date.now();
    let now = from;
    while (now === from) now = Date.now();
    base = now - performance.now();
  }
  return base + performance.now();
}

/** Tasks that held up the page, the longest one in ms. */
function longestTask() {
  let longest = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longest = Math.max(longest, duration);
  });
  observer.observe({ type: "longtask" });
  return () => {
    for (const { duration } of observer.takeRecords()) longest = Math.max(longest, duration);
    observer.disconnect();
    return longest;
  };
}

/** A first sync of `count` documents into an empty device: ms until all are durable, and until the first is there. */
export async function pull(state, { count, ...options }) {
  const longest = longestTask();
  const from = performance.now();
  let first;
  const store = await state.open(options);
  const done = store.pulled(count, () => (first ??= performance.now() - from));
  await store.goOnline();
  await done;
  const all = performance.now() - from;
  await checkDocuments(store, 0, count);
  return { all, first: first ?? all, longest: longest() };
}

/** Makes `count` writes while offline, each of its own, and waits until all are durable. */
export async function queueOffline({ store }, { count }) {
  await store.queue(documents(0, count));
}

/** Goes online. The wall clock then; and when this device knew that all is accepted, if its library can know. */
export async function drain({ store }) {
  const from = wallClock();
  const accepted = store.accepted?.();
  await store.goOnline();
  await accepted;
  return { from, accepted: accepted === undefined ? undefined : wallClock() };
}

/** Opens a device for the measure of latency, online and in step with the server. */
export async function follow(state, { count, ...options }) {
  wallClock();
  const store = await state.open(options);
  const done = store.pulled(count, () => undefined);
  await store.goOnline();
  await done;
  state.seen = new Map();
  await store.watchOne(idOf(0), (doc) => {
    if (doc && !state.seen.has(doc.title)) state.seen.set(doc.title, wallClock());
    state.heard?.();
  });
}

/** A patches; the wall clock just before. */
export async function sendOne({ store }, { title }) {
  const from = wallClock();
  await store.patch(idOf(0), { title });
  return from;
}

/** When B saw it. */
export async function sawOne(state, { title }) {
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the patch did not arrive within 20 s")), 20_000);
    state.heard = () => {
      if (!state.seen.has(title)) return;
      clearTimeout(timer);
      resolve();
    };
    state.heard();
  });
  return state.seen.get(title);
}

/** The document that the latency is measured with, and how many there are. */
export const firstDocument = () => documentOf(0);
