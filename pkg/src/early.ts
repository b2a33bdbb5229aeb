/**
 * Rows that somebody asks for while the store opens. The engine may know one before it has read everything; who asks
 * for another waits until the store is open.
 *
 * Invariant: an early row is what the open store would show. So there is none while writes of this tab wait for the
 * store: the engine has not heard of them.
 */
import type { AnyRow, RowCache } from "./rows.js";
import type { WireClient } from "./wasm/wire.js";

/** What was found: a row, or that there is none. */
export interface EarlyRow {
  readonly row: AnyRow | undefined;
}

/** What this needs of a session. */
interface Opening {
  readonly ready: boolean;
  readonly rows: RowCache;
  readonly writes: { readonly busy: boolean };
  whenOpen(): Promise<void>;
}

interface Asked {
  readonly collection: string;
  readonly id: string;
  resolve(found: EarlyRow): void;
}

/** See the module's text. */
export class EarlyRows {
  #asked: Asked[] = [];
  #client: WireClient | undefined;

  constructor(private readonly session: Opening) {}

  /** Resolves with what the engine finds early, or with nothing when the store is open. */
  row(collection: string, id: string): Promise<EarlyRow | undefined> {
    const open = this.session.whenOpen();
    if (this.session.ready) return open.then(() => undefined);
    this.#client?.want(collection, id);
    return new Promise((resolve, reject) => {
      const asked = { collection, id, resolve };
      this.#asked.push(asked);
      const leave = (): void => void (this.#asked = this.#asked.filter((other) => other !== asked));
      open.finally(leave).then(() => resolve(undefined), reject);
    });
  }

  /** A client has begun to open its store. */
  async during(opening: Promise<unknown>, client: WireClient): Promise<void> {
    this.#client = client;
    for (const { collection, id } of this.#asked) client.want(collection, id);
    await opening.finally(() => (this.#client = undefined));
  }

  /** The engine knows a row; null: that there is none. */
  answer(collection: string, id: string, text: string | null): void {
    // What waits to be written is not in it.
    if (this.session.writes.busy || this.session.ready) return;
    const row = text === null ? undefined : this.session.rows.early(collection, id, text);
    for (const asked of this.#asked) if (asked.collection === collection && asked.id === id) asked.resolve({ row });
  }
}
