/**
 * Requests and transactions of IndexedDB as promises, and what its errors mean. What awaits a request goes on in a
 * microtask of its event, while the transaction is still active: nothing else may be awaited inside of one.
 */

/**
 * Why a piece of work did not come to its end.
 *
 * - `quota`: no room; nothing was written.
 * - `dead`: the connection is gone (WebKit kills them); nothing was written.
 * - `unknown`: aborted for a reason that does not say whether it was committed.
 * - `wiped`: the database was deleted while this tab had it open; what is there now is new and empty.
 * - `newer`: a later release raised the version.
 * - `unavailable`: this page may not use IndexedDB.
 * - `sealed`: the store is encrypted, and no keys are at hand.
 */
export type Why = "quota" | "dead" | "unknown" | "wiped" | "newer" | "unavailable" | "sealed";

/** See {@link Why}. */
export class Failure extends Error {
  constructor(readonly why: Why) {
    super(why);
  }
}

/** Why an operation of a store failed. */
export function whyOf(error: unknown): Why {
  return error instanceof Failure ? error.why : "unknown";
}

/** What IndexedDB threw, or why a request failed. */
export function failureOf(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  return new Failure((thrown as DOMException | null)?.name === "QuotaExceededError" ? "quota" : "unknown");
}

/** The result of a request that was just made. One that nobody awaits any more fails in silence. */
export function reply<T>(request: IDBRequest<T>): Promise<T> {
  return quiet(
    new Promise<T>((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(failureOf(request.error));
    }),
  );
}

/** Where the work of a transaction finds its stores. */
export type Stores = (name: string) => IDBObjectStore;

/** Begins to read. */
export async function read<T>(db: IDBDatabase, stores: string[], work: (store: Stores) => Promise<T>): Promise<T> {
  const transaction = begin(db, stores, "readonly", {});
  try {
    return await work((name) => transaction.objectStore(name));
  } catch (error) {
    giveUp(transaction);
    throw failureOf(error);
  }
}

/**
 * Writes, commits at once, without a round trip for the requests before it, and waits until it is complete. Where the
 * work has no result the transaction is given up, and this waits until nothing of it is left.
 */
export async function write<T>(
  db: IDBDatabase,
  stores: string[],
  durability: IDBTransactionDurability,
  work: (store: Stores) => T | Promise<T>,
): Promise<T> {
  const transaction = begin(db, stores, "readwrite", { durability });
  const over = quiet(
    new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      // The event says only "aborted"; the reason, such as a full quota, stands in the transaction.
      transaction.onabort = () => reject(failureOf(transaction.error));
    }),
  );
  let result: T;
  try {
    const working = work((name) => transaction.objectStore(name));
    result = working instanceof Promise ? await working : working;
    if (result === undefined) transaction.abort();
  } catch (error) {
    giveUp(transaction);
    throw failureOf(error);
  }
  if (result === undefined) {
    await over.then(
      () => Promise.reject(new Failure("unknown")),
      () => undefined,
    );
    return result;
  }
  try {
    transaction.commit();
  } catch {
    // The transaction is over already, and its end says how.
  }
  await over;
  return result;
}

/** Its failure is heard by those who await it, and by nobody else. */
export function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** All keys above `after`, and up to `upto` where that is given. */
export function above(after: number, upto?: number): IDBKeyRange {
  return upto === undefined ? IDBKeyRange.lowerBound(after, true) : IDBKeyRange.bound(after, upto, true);
}

function begin(
  db: IDBDatabase,
  stores: string[],
  mode: IDBTransactionMode,
  options: IDBTransactionOptions,
): IDBTransaction {
  try {
    return db.transaction(stores, mode, options);
  } catch {
    // It throws only on a connection that is closed, and then nothing has been asked of it.
    throw new Failure("dead");
  }
}

function giveUp(transaction: IDBTransaction): void {
  try {
    transaction.abort();
  } catch {
    // It is over.
  }
}
