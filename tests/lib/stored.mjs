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

/** Whether every segment has columns of the field `/n`: its directory names it. */
export async function columnsInAll() {
  const names = (await indexedDB.databases()).map((one) => one.name ?? "");
  const open = indexedDB.open(names.find((name) => name.startsWith("tidewire:")) ?? "");
  await new Promise((resolve) => (open.onsuccess = resolve));
  const all = open.result.transaction("dirs").objectStore("dirs").getAll();
  await new Promise((resolve) => (all.onsuccess = resolve));
  open.result.close();
  const isNamed = (record) => new TextDecoder("latin1").decode(record).includes("\u0002/n");
  return all.result.length > 0 && all.result.every(isNamed);
}
