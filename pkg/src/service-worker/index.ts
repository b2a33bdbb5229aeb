/**
 * For an app's service worker, and for the page that lets it send: what was written offline reaches the server when
 * no tab is open any more.
 */
import { TidewireError } from "../errors.js";
import { databaseName, storeOf } from "../host/connection.js";
import { drainStore, type Drained, type DrainOptions } from "./drain.js";
import { findPass } from "./pass.js";

export type { Drained, DrainOptions, DrainReason } from "./drain.js";
export { leaveToken, type LeaveOptions } from "./leave.js";

/** One drain after the other: each has an engine of its own. */
let last: Promise<unknown> = Promise.resolve();

/**
 * In a service worker: sends what is queued on this device, as far as a page has left a token for it (`leaveToken`).
 * While a tab leads, that one sends, and this waits for it. Resolves with what is left and why. Rejects, for instance
 * `offline`, where the same may succeed later: an event `sync` is then given again.
 *
 * ```js
 * self.addEventListener("sync", (event) => event.waitUntil(drain({ name: "acme" })));
 * ```
 */
export function drain(options: DrainOptions): Promise<Drained> {
  const turn = last.then(() => drainAll(options));
  last = turn.catch(() => undefined);
  return turn;
}

async function drainAll(options: DrainOptions): Promise<Drained> {
  if (typeof options?.name !== "string" || options.name === "")
    throw new TidewireError("bad-config", "drain() needs the `name` that openDb has.");
  const { name, user } = options;
  const users = user === undefined ? await usersOf(name) : [user];
  const all: Drained[] = [];
  let failure: unknown;
  for (const each of users) {
    const store = storeOf(name, each);
    const found = await findPass(store);
    if (found === undefined) continue;
    if (found.pass === undefined) {
      all.push({ reason: "no-token" });
      continue;
    }
    try {
      all.push(await drainStore(store, each, found.pass, options));
    } catch (error) {
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
  return summed(all);
}

/** Who has a store of this name here; null: nobody's. */
async function usersOf(name: string): Promise<(string | null)[]> {
  // Firefox before 126 tells nobody.
  const found = (await (indexedDB as Partial<IDBFactory>).databases?.call(indexedDB)) ?? [{ name: databaseName(name) }];
  const begin = databaseName(name, "").slice(0, -1);
  return found.flatMap(({ name: database = "" }) => {
    if (database === databaseName(name)) return [null];
    const user = /^@([^:]+):/.exec(database.slice(begin.length))?.[1];
    const isOne = user !== undefined && database === databaseName(`${name}@${user}`);
    return isOne ? [decodeURIComponent(user)] : [];
  });
}

/** What is left in all of them; the reason is that of the first that has one. */
function summed(all: readonly Drained[]): Drained {
  const seen = all.filter(({ pending }) => pending !== undefined);
  const reason = all.find((each) => each.pending !== 0 && each.reason)?.reason;
  const sum = (of: "pending" | "failed"): number => seen.reduce((whole, each) => whole + (each[of] ?? 0), 0);
  const isKnown = seen.length === all.length;
  return { ...(isKnown && { pending: sum("pending"), failed: sum("failed") }), ...(reason && { reason }) };
}
