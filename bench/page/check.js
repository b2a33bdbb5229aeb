/** Checks of results, outside of all clocks. A library that answers wrongly has no figure. */
import { canonical, documentOf, documents, expectedPage } from "../documents.js";

/** Throws unless both are equal, whatever the order of keys. */
export function same(what, found, expected) {
  const [have, want] = [canonical(found), canonical(expected)];
  if (have !== want)
    throw new Error(`wrong result: ${what}\nfound    ${have.slice(0, 600)}\nexpected ${want.slice(0, 600)}`);
}

/** A row as a plain document: without what a library adds to it. */
export const plain = (row) =>
  row && Object.fromEntries(Object.entries(row).filter(([key]) => !key.startsWith("$") && !key.startsWith("_")));

/** The stored document at `index` is the one that was written. */
export async function checkDocument(store, index, changes = {}) {
  const expected = { ...documentOf(index), ...changes };
  same(`document ${index}`, plain(await store.get(expected.id)), expected);
}

/** Samples of the stored documents, first and last included. */
export async function checkDocuments(store, from, to, changesOf = () => ({})) {
  const step = Math.max(1, Math.floor((to - from) / 20));
  for (let index = from; index < to; index += step) await checkDocument(store, index, changesOf(index));
  await checkDocument(store, to - 1, changesOf(to - 1));
}

let known = { count: 0, docs: [] };

/** All documents below `count`, made once for a page. */
export function allDocuments(count) {
  if (known.count !== count) known = { count, docs: documents(0, count) };
  return known.docs;
}

/** Forgets them: they must not count as memory of the library. */
export function forgetDocuments() {
  known = { count: 0, docs: [] };
}

/** A page has the right rows in the right order, and they are whole. */
export function checkPage(rows, count, question) {
  const docs = allDocuments(count);
  same(
    `page ${JSON.stringify(question)}`,
    rows.map((row) => row.id),
    expectedPage(docs, question),
  );
  const wanted = docs.find((doc) => doc.id === rows[0]?.id);
  if (wanted) same("first row of the page", plain(rows[0]), wanted);
}
