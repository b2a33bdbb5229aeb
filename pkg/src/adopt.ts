/**
 * What was written before anybody signed in moves to the store of its user: claimed in the store of nobody, adopted in
 * the user's, and then gone from the first. Each step is durable before the next begins and has no effect a second
 * time, so whatever was interrupted, or is done by several tabs at once, ends the same at the next `signIn`.
 */
import { failingCoreError, isTrap, toTidewireError, type TidewireError } from "./errors.js";
import type { Session } from "./session.js";
import type { ClientFactory, LoadedClient } from "./wasm/client.js";
import type { ClientConfig, MutationName, WireError, WireHost } from "./wasm/wire.js";
import { Submission } from "./writes.js";

/** What becomes of it. */
export type Adopt = "merge" | "discard" | "ask";

interface Claimed {
  /** Edits that nobody has claimed. */
  readonly pending: number;
  /** The last edit that is claimed for this user, if there is one. */
  readonly done: MutationName | null;
}

/** Into the store that the session has open, which is `user`'s. Returns how many edits wait for a decision. */
export async function adopt(session: Session, user: string, choice: Adopt): Promise<number> {
  const { config, factory } = session;
  let pending = 0;
  try {
    if (factory === undefined || !(await factory.stored(config))) return 0;
    const source = await Source.open(factory, config, session.host.encrypt);
    try {
      if (choice === "merge") await source.write({ do: "claim", to: user });
      // The text is handed on as it is: only the core looks into documents.
      const text = source.command({ do: "claimed", to: user });
      const claimed = JSON.parse(text) as Claimed;
      pending = claimed.pending;
      if (claimed.done !== null) {
        const adopting = new Submission(() => ({ command: `{"do":"adopt",${text.slice(1)}` }));
        session.writes.submit(adopting);
        await adopting.durable;
        await source.write({ do: "claim", to: user, done: claimed.done });
      }
      if (choice === "discard") {
        await source.write({ do: "claim" });
        pending = 0;
      }
    } finally {
      await source.close();
    }
  } catch (thrown) {
    // The user is signed in all the same, and nothing is lost.
    const { code } = toTidewireError(thrown);
    const message = "What was written before signing in could not be moved yet; the next signIn() tries again.";
    session.events.emit("watchdog", { code, message });
  }
  return pending;
}

/** The store of nobody, without a network. */
class Source {
  readonly #waiting = new Map<number, { resolve(): void; reject(error: TidewireError): void }>();
  #loaded!: LoadedClient;
  #deaf: (() => void) | undefined;

  private constructor(private readonly factory: ClientFactory) {}

  static async open(factory: ClientFactory, config: ClientConfig, encrypt: WireHost["encrypt"]): Promise<Source> {
    const source = new Source(factory);
    const host = { event: (json: string) => source.#heard(json), token: () => Promise.resolve(null), encrypt };
    source.#loaded = await factory.create(JSON.stringify({ ...config, url: null }), host);
    await source.#loaded.client.open();
    await factory.whole();
    source.#deaf = factory.onTrap((generation) => {
      if (generation !== source.#loaded.generation) return;
      for (const { reject } of source.#waiting.values()) reject(failingCoreError());
    });
    return source;
  }

  command(command: object): string {
    try {
      return this.#loaded.client.command(JSON.stringify(command));
    } catch (thrown) {
      if (isTrap(thrown)) this.factory.trapped(this.#loaded.generation);
      throw thrown;
    }
  }

  /** Resolves when it is durable. */
  async write(command: object): Promise<void> {
    const { write } = JSON.parse(this.command(command)) as { write?: number };
    if (write === undefined) return;
    await new Promise<void>((resolve, reject) => this.#waiting.set(write, { resolve, reject }));
  }

  close(): Promise<void> {
    this.#deaf?.();
    return this.#loaded.client.close();
  }

  #heard(json: string): void {
    for (const event of JSON.parse(json) as { type: string; write: number; error: WireError }[]) {
      const waiting = this.#waiting.get(event.write);
      if (event.type === "durable") waiting?.resolve();
      else if (event.type === "write-failed") waiting?.reject(toTidewireError(event.error));
    }
  }
}
