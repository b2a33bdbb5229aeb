/** What is different between two results of one query. */

/** Rows that came, changed or went since the last call. */
export interface Changes<R> {
  readonly added: readonly R[];
  /** As they are now; a row that moved is among them. */
  readonly changed: readonly R[];
  /** As they were. */
  readonly removed: readonly R[];
  /** `remote` if any of it came from the server; else all was written on this device. */
  readonly origin: "local" | "remote";
}

/** The difference; `undefined` if there is none. */
export function changesOf<R extends { readonly id: string }>(
  old: readonly R[],
  fresh: readonly R[],
  origin: "local" | "remote",
): Changes<R> | undefined {
  let start = 0;
  while (start < old.length && start < fresh.length && old[start] === fresh[start]) start += 1;
  let end = 0;
  const room = Math.min(old.length, fresh.length) - start;
  while (end < room && old[old.length - 1 - end] === fresh[fresh.length - 1 - end]) end += 1;
  const before = new Map(old.slice(start, old.length - end).map((row) => [row.id, row]));
  const added: R[] = [];
  const changed: R[] = [];
  for (const row of fresh.slice(start, fresh.length - end)) {
    const known = before.get(row.id);
    before.delete(row.id);
    if (known === undefined) added.push(row);
    else if (known !== row) changed.push(row);
  }
  const removed = [...before.values()];
  if (added.length + changed.length + removed.length === 0) return undefined;
  return Object.freeze({ added, changed, removed, origin });
}
