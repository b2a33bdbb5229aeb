/** Steps that write. */
import { documentOf, documents, idOf, random } from "../documents.js";
import { checkDocument, checkDocuments } from "./check.js";

const timed = async (work) => {
  const from = performance.now();
  await work();
  return performance.now() - from;
};

/** From the start of the library's module to the first durable insert, in ms. */
export async function start(state, options) {
  const ms = await timed(async () => {
    const store = await state.open(options);
    await store.insert(documentOf(0));
  });
  await checkDocument(state.store, 0);
  return ms;
}

/** Inserts documents, `chunk` in one call (all, if left out); ms until they are durable. */
export async function fill({ store }, { from, to, chunk = to - from }) {
  let ms = 0;
  for (let at = from; at < to; at += chunk) {
    const docs = documents(at, Math.min(to, at + chunk));
    ms += await timed(() => store.insertMany(docs));
  }
  // A reload at once must follow the last insert, so the caller says when to check.
  return ms;
}

/** Checks what `fill` wrote. */
export async function checkFill({ store }, { from, to }) {
  await checkDocuments(store, from, to);
}

/** Inserts one after the other, each awaited until durable; ms in all. */
export async function insertEach({ store }, { from, to }) {
  const docs = documents(from, to);
  const ms = await timed(async () => {
    for (const doc of docs) await store.insert(doc);
  });
  await checkDocuments(store, from, to);
  return ms;
}

/** Patches one field of random documents, each patch awaited until durable; ms in all. */
export async function patchEach({ store }, { of, count, seed }) {
  const next = random(seed);
  const patches = new Map();
  while (patches.size < count) patches.set(Math.floor(next() * of), { title: `Patched ${patches.size} of ${seed}` });
  const list = [...patches].map(([index, changes]) => [idOf(index), changes]);
  const ms = await timed(async () => {
    for (const [id, changes] of list) await store.patch(id, changes);
  });
  for (const [index, changes] of [...patches].slice(0, 10)) await checkDocument(store, index, changes);
  return ms;
}

/** Patches one field of each document below `count`, all at once; ms until all are durable. */
export async function patchAll({ store }, { count, seed }) {
  const changes = (index) => ({ title: `Patched at once ${index} of ${seed}` });
  const list = Array.from({ length: count }, (_, index) => [idOf(index), changes(index)]);
  const ms = await timed(() => store.patchMany(list));
  await checkDocuments(store, 0, count, changes);
  return ms;
}

/** Random single edits, `together` at a time, until `edits` are done: bytes written by the store, and ms. */
export async function editRandomly({ store, written }, { of, edits, together, seed }) {
  const next = random(seed);
  const before = written.bytes;
  const ms = await timed(async () => {
    for (let done = 0; done < edits; done += together) {
      const writes = Array.from({ length: together }, (_, at) => {
        return store.patch(idOf(Math.floor(next() * of)), { title: `Edit ${done + at} of ${seed}` });
      });
      await Promise.all(writes);
    }
    await store.settled?.();
  });
  return { bytes: written.bytes - before, ms };
}
