/** Transactions: several edits with one fate, on this device and on the server. */
import { TidewireError, toTidewireError } from "./errors.js";
import { Intents, type Draft, type EditOptions } from "./collection.js";
import { Resolver, type Intent, type IntentTarget } from "./intents.js";
import { deepFreeze } from "./json.js";
import { isPromise, type InputOf, type OutputOf } from "./schema.js";
import type { Session } from "./session.js";
import type { Collections, DeepReadonly, NewEntity, Patch, PatchEntries, SchemaOf } from "./types.js";
import type { WireOp } from "./wasm/wire.js";
import { refusedWrite, startWrite, type Write } from "./write.js";

/** A collection inside a transaction. What is wrong throws at once, and then nothing of the transaction happens. */
export interface TransactionCollection<I, T> {
  /** The entity as the transaction sees it: with the edits made in it so far. `undefined` before the store is open. */
  peek(id: string): (DeepReadonly<T> & { readonly id: string }) | undefined;
  /** Returns the id. */
  insert(value: NewEntity<I>): string;
  upsert(value: NewEntity<I>): string;
  update(id: string, patch: Patch<T> | PatchEntries<T> | ((draft: Draft<T>) => void), options?: EditOptions): void;
  delete(id: string, options?: EditOptions): void;
}

/** All collections of a database, inside a transaction. */
export type Transaction<C extends Collections> = {
  readonly [K in keyof C]: TransactionCollection<InputOf<SchemaOf<C[K]>>, OutputOf<SchemaOf<C[K]>>>;
};

/**
 * Runs `fn` at once and sends what it did as one atomic write. While the store is still being opened the edits wait for
 * it in order, and are checked against the rows then.
 */
export function runTransaction<R>(
  session: Session,
  targets: ReadonlyMap<string, () => IntentTarget>,
  fn: (tx: never) => R,
): Write<R> {
  const run = new TransactionRun(session);
  try {
    const result = fn(run.face(targets) as never);
    if (isPromise(result)) {
      void Promise.resolve(result).catch(() => undefined);
      throw new TidewireError(
        "async-function",
        "A transaction's function must be synchronous: read before it, and await the write that it returns.",
      );
    }
    return startWrite(
      session,
      run.firstId,
      () => run.request(),
      () => result,
    );
  } catch (error) {
    return refusedWrite(session, "", toTidewireError(error));
  } finally {
    run.over = true;
  }
}

class TransactionRun {
  over = false;
  firstId = "";
  readonly #steps: { readonly target: IntentTarget; readonly intent: Intent }[] = [];
  readonly #ops: WireOp[] = [];
  readonly #resolver: Resolver;
  /** Whether edits are checked as they are made. If the store is not open yet, they are checked when it is. */
  readonly #atOnce: boolean;

  constructor(private readonly session: Session) {
    this.#atOnce = session.ready;
    this.#resolver = new Resolver(session.rows);
  }

  face(targets: ReadonlyMap<string, () => IntentTarget>): object {
    return Object.fromEntries([...targets].map(([name, target]) => [name, this.#collection(new Intents(target))]));
  }

  request(): { ops: readonly WireOp[]; atomic: boolean } {
    if (!this.#atOnce) for (const { target, intent } of this.#steps) this.#resolve(target, intent);
    return { ops: this.#ops, atomic: true };
  }

  #collection(intents: Intents): TransactionCollection<unknown, object> {
    const step = (intent: Intent): string => {
      if (this.over) throw new TidewireError("transaction-over", "The transaction is over: its function returned.");
      this.firstId ||= intent.id;
      const target = intents.target();
      this.#steps.push({ target, intent });
      if (this.#atOnce) this.#resolve(target, intent);
      return intent.id;
    };
    return {
      peek: (id) => {
        if (!this.session.ready) return undefined;
        const entity = this.#resolver.entity(intents.target().name, id);
        return entity === undefined ? undefined : deepFreeze({ ...structuredClone(entity), id });
      },
      insert: (value) => step(intents.insert("insert", value)),
      upsert: (value) => step(intents.insert("upsert", value)),
      update: (id, patch, options) => void step(intents.update(id, patch, options)),
      delete: (id, options) => void step(intents.delete(id, options)),
    };
  }

  #resolve(target: IntentTarget, intent: Intent): void {
    const op = this.#resolver.resolve(target, intent);
    if (op !== undefined) this.#ops.push(op);
  }
}
