/** Looks into the object stores behind the back of the database. */

/** Runs in the page: how many values one of the object stores has. */
export async function countOf(store) {
  const names = (await indexedDB.databases()).map((one) => one.name ?? "");
  const open = indexedDB.open(names.find((name) => name.startsWith("tidewire:")) ?? "");
  await new Promise((resolve) => (open.onsuccess = resolve));
  const count = open.result.transaction(store).objectStore(store).count();
  await new Promise((resolve) => (count.onsuccess = resolve));
  open.result.close();
  return count.result;
}
