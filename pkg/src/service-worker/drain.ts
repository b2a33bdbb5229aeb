/**
 * The service worker's half: the same engine over the same store, which asks for the same lock as any tab. It leads
 * while no tab does, sends what is queued, stores the verdicts and ends. It reads nothing of the server.
 *
 * Nothing here is loaded late: a service worker may not call `import()`.
 */
import { time } from "../env.js";
import { TidewireError, toTidewireError } from "../errors.js";
import { Effects } from "../host/effects.js";
import { IndexedDb } from "../host/indexeddb.js";
import * as module from "../host/module.js";
import { serverAt } from "../host/net.js";
import { quiet } from "../host/request.js";
import type { Store } from "../host/store.js";
import type { Encrypt } from "../host/vault-key.js";
import { Vault } from "../host/vault.js";
import type { DbSettings } from "../options.js";
import type { WireEvent } from "../events.js";
import { Instance } from "../wasm/bindings.js";
import { loadModule, type WasmOption } from "../wasm/load.js";
import type { WireHost } from "../wasm/wire.js";
import type { Pass } from "./pass.js";

/** How to drain. */
export interface DrainOptions {
  /** The `name` of `openDb`. */
  readonly name: string;
  /** Whose store; null: that of nobody. Left out: every one in which a page has left a token. */
  readonly user?: string | null;
  /** Is asked when the server refuses the token that the page has left. Left out, or null: the queue is kept. */
  readonly auth?: DbSettings["auth"];
  /** As in `openDb`. Without it an encrypted store is not opened, and its queue is kept. */
  readonly encrypt?: Encrypt;
  /** As in `openDb`. */
  readonly wasm?: WasmOption;
  /** How long it may take; 60,000. Browsers end a service worker after some minutes. */
  readonly timeoutMs?: number;
}

/**
 * Why something is still queued.
 *
 * - `no-token`: no page has left one.
 * - `no-key`: the store is encrypted, and `encrypt` was not given.
 * - `held`: the server, or an edit before it that was refused, holds it.
 * - `elsewhere`: a tab leads, and has not sent it in that time.
 * - `auth`, `wrong-user`, `upgrade`, `quota`, `user`: as in `db.sync.status`.
 */
export type DrainReason =
  | ("no-token" | "no-key" | "held" | "elsewhere")
  | ("auth" | "wrong-user" | "upgrade" | "quota" | "user");

/** What draining came to. */
export interface Drained {
  /** Edits that the server has not decided. Not there: the store was not opened. */
  readonly pending?: number;
  /** Edits that were refused, and wait for the user. */
  readonly failed?: number;
  /** Why not all was sent. */
  readonly reason?: DrainReason;
}

/** The view `status`, as far as it is read here. */
interface Status {
  readonly state: string;
  readonly reason?: DrainReason;
  readonly pending: number;
  readonly failed: number;
  readonly leader: boolean;
}

const TIMEOUT_MS = 60_000;

/** Sends what is queued in one store. */
export async function drainStore(
  store: string,
  user: string | null,
  { token, config }: Pass,
  { encrypt, auth, wasm, timeoutMs = TIMEOUT_MS }: DrainOptions,
): Promise<Drained> {
  const [main, more] = await Promise.all([loadModule(wasm), loadModule(wasm, "more")]);
  const instance = new Instance(main);
  instance.complete(more);
  const drainage = new Drainage();
  const net = serverAt(config.url ?? "", () => undefined);
  const owner: WireHost = {
    event: (json) => drainage.hear(JSON.parse(json) as WireEvent[]),
    token: async (why) => (why === "start" ? token : ((await auth?.(why, user)) ?? null)),
  };
  const trap = (): void => drainage.fail(new TidewireError("internal", "Tidewire met a failure of its own."));
  const effects = new Effects(store, net, owner, trap);
  const timer = time.after(() => drainage.late(), timeoutMs);
  try {
    const client = instance.client(JSON.stringify(config), time.random(16), effects);
    await effects.start(client, quiet(opened(encrypt ? new Vault(store, encrypt, user) : new IndexedDb(store))));
    effects.ask((engine) => engine.call(module.COMMAND, '{"do":"drain"}', ""));
    effects.whole();
    return await drainage.over(() => effects.ask((engine) => engine.call(module.VIEW, "status", "")));
  } catch (error) {
    if ((error as { code?: unknown }).code === "encrypted") return { reason: "no-key" };
    throw toTidewireError(error);
  } finally {
    time.cancel(timer);
    await effects.finish();
    effects.release(new TidewireError("closed", "This drain is over."));
    net.close?.();
  }
}

async function opened(store: Store & { open(): Promise<void> }): Promise<Store> {
  try {
    await store.open();
    return store;
  } catch (error) {
    store.close();
    throw error;
  }
}

/** One drain, and when it is over. */
class Drainage {
  #status: (() => Status) | undefined;
  #isDone = false;
  #end!: (drained: Drained) => void;
  #fail!: (error: TidewireError) => void;
  readonly #over = quiet(
    new Promise<Drained>((resolve, reject) => {
      this.#end = resolve;
      this.#fail = reject;
    }),
  );

  /** Resolves when nothing is left that can be sent, and rejects when that is to be tried again later. */
  over(status: () => string | undefined): Promise<Drained> {
    this.#status = () => JSON.parse(status() ?? "{}") as Status;
    this.#look();
    return this.#over;
  }

  hear(events: readonly WireEvent[]): void {
    for (const event of events as readonly { type: string; code?: string; message?: string }[]) {
      if (event.type === "drained") this.#isDone = true;
      if (event.type === "watchdog" && event.code === "internal") this.fail(toTidewireError(event));
    }
    this.#look();
  }

  fail(error: TidewireError): void {
    this.#fail(error);
  }

  /** Time is up. */
  late(): void {
    const { leader = true, pending, failed } = this.#status?.() ?? ({} as Partial<Status>);
    if (leader) this.fail(new TidewireError("timeout", "The queue was not sent in time; it is kept."));
    else this.#end({ pending, failed, reason: "elsewhere" } as Drained);
  }

  #look(): void {
    if (this.#status === undefined) return;
    const { state, reason, pending, failed } = this.#status();
    const so = { pending, failed };
    if (pending === 0) this.#end(so);
    else if (state === "paused") this.#end({ ...so, ...(reason && { reason }) });
    else if (state === "offline") this.fail(new TidewireError("offline", "The server was not reached; it is kept."));
    else if (this.#isDone || state === "synced") this.#end({ ...so, reason: "held" });
  }
}
