/** Data for searches of the disk: words that stand nowhere else, and enough rows for segments. */
import { randomBytes } from "node:crypto";

/** Enough for the log to be made into segments. */
export const ROWS = 1_500;

/** A text that stands nowhere by chance. */
export const canary = () => randomBytes(36).toString("base64url");

/** Writes so much that the log is made into segments. */
export async function fill(device, collection) {
  await device.run(
    async ({ name, count }) => {
      const rows = Array.from({ length: count }, (_, i) => ({ title: `title ${i}` }));
      await window.tw.db[name].insertMany(rows);
    },
    { name: collection, count: ROWS },
  );
  await device.synced();
  await device.until("rows in segments", segments);
}

/** Runs in the page: how many segments the first store of Tidewire has. */
export async function segments() {
  const names = (await indexedDB.databases()).map((one) => one.name ?? "");
  const open = indexedDB.open(names.find((name) => /^tidewire:.*:\d+$/.test(name)) ?? "");
  await new Promise((resolve) => (open.onsuccess = resolve));
  const count = open.result.transaction("segs").objectStore("segs").count();
  await new Promise((resolve) => (count.onsuccess = resolve));
  open.result.close();
  return count.result;
}
