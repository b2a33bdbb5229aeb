/**
 * What the module asks of the browser: everything that it cannot do itself. It decides nothing: it does what the engine
 * asks for and tells what came of it.
 *
 * It holds the store, the socket, the lock and the timer, so that they can be let go when the module has trapped and
 * cannot be called any more. The invariants: the module is only told of things through `#tell`, so a trap is always
 * seen; and nothing that the module calls here throws.
 */
import { time } from "../env.js";
import { isLacking, TidewireError } from "../errors.js";
import type { WireHost } from "../wasm/wire.js";
import { databaseName } from "./connection.js";
import { Lock } from "./lock.js";
import * as module from "./module.js";
import type { ModuleClient, ModuleHost } from "./module.js";
import type { Net, Socket } from "./net.js";
import { quiet, whyOf } from "./request.js";
import type { Reply, Store } from "./store.js";
import { browser, type Surroundings } from "./surroundings.js";

/** Store operations under way beyond which the body of an answer is not read on. */
const STORES_AHEAD_MAX = 4;
/** Browsers fire a longer timeout at once. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;
/** A tab that comes, or comes back, asks who is there; the others say something. */
const WHO = "who";
const HERE = "here";
/** The first byte of messages that are no more than news of the log is below this (`Message` in `replica/tabs.rs`). */
const NEWS_END = 2;

/** What `stored` says of a failure; of all others, `FAILED`. */
const ANSWERS: { readonly [why: string]: number | undefined } = {
  quota: module.QUOTA,
  wiped: module.WIPED,
  newer: module.NEWER,
};

/** See the module's text. */
export class Effects implements ModuleHost {
  client: ModuleClient | undefined;
  store: Store | undefined;
  #opening!: Promise<Store>;
  /** Whether everything was let go: then the module is neither called nor heard. */
  #over = false;
  #scheduled = false;
  #opened: { resolve(): void; reject(error: unknown): void } | undefined;
  #storesUnderWay = 0;
  /** Those who wait until the store has nothing to do, and until it has little to do. */
  #idle: (() => void)[] = [];
  #room: (() => void)[] = [];
  /** What the store operation that follows is about. */
  #parts: Uint8Array[] = [];
  #keys: number[] = [];
  readonly #requests = new Map<number, AbortController>();
  #socket: { readonly token: number; readonly socket: Socket } | undefined;
  #wake: ReturnType<typeof setTimeout> | undefined;
  #lock: Lock | undefined;
  #channel: BroadcastChannel | undefined;
  /** Whether another tab was heard of. */
  #company = false;
  /** What the engine was told of the page. */
  #shown = true;
  /** Ends all listeners at once. */
  readonly #alive = new AbortController();

  /** `trapped` hears when the module fails in a task of its own. */
  constructor(
    private readonly name: string,
    private readonly net: Net,
    private readonly owner: WireHost,
    private readonly trapped: () => void,
  ) {}

  /** The browser. */
  get #around(): Surroundings {
    return this.owner.surroundings ?? browser;
  }

  get kind(): Store["kind"] | undefined {
    return this.store?.kind;
  }

  /**
   * Starts the engine and waits until it has read its log. It starts before the store is there: browsers compile a
   * function when it is first called, and have time for that until the database is open.
   */
  async start(client: ModuleClient, opening: Promise<Store>): Promise<void> {
    this.client = client;
    this.#opening = opening.then((store) => this.#take(store));
    const opened = quiet(new Promise<void>((resolve, reject) => (this.#opened = { resolve, reject })));
    this.#tell((module) => module.open());
    this.#listen();
    await this.#opening;
    await opened;
  }

  /** The module's second part is there. */
  whole(): void {
    this.#say(module.WHOLE);
    // Until now none were shown.
    this.eventSoon({ type: "changed", collection: "$conflicts", ids: [] });
  }

  /** Lets the engine write down what it has, and waits for the store. */
  async finish(): Promise<void> {
    if (this.#over) return;
    const idle = new Promise<void>((resolve) => this.#idle.push(resolve));
    this.#tell((client) => client.close());
    await idle;
  }

  /** Lets everything go; those who wait are let go too. */
  release(error: TidewireError): void {
    this.#over = true;
    this.client = undefined;
    this.#alive.abort();
    this.#lock?.release();
    for (const request of this.#requests.values()) request.abort();
    this.#requests.clear();
    this.#socket?.socket.close();
    time.cancel(this.#wake);
    this.#channel?.close();
    this.store?.close();
    this.#opened?.reject(error);
    for (const wait of [...this.#idle.splice(0), ...this.#room.splice(0)]) wait();
  }

  /** Calls the module for a peer in this tab; undefined when it is closed. */
  ask(call: (client: ModuleClient) => string | undefined): string | undefined {
    let answer: string | undefined;
    this.#tell((client) => {
      try {
        answer = call(client);
      } catch (error) {
        if (!(error instanceof TidewireError)) throw error;
      }
    });
    return answer;
  }

  /** Tells the face something that the engine does not know. */
  eventSoon(event: object): void {
    queueMicrotask(() => this.#over || this.event(JSON.stringify([event])));
  }

  // What the module calls.

  event(json: string): void {
    try {
      this.owner.event(json);
    } catch (thrown) {
      console.error("tidewire: an event handler threw", thrown);
    }
  }

  opened(failure: unknown): void {
    if (failure === undefined) this.#opened?.resolve();
    else this.#opened?.reject(failure);
  }

  soon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#tell((client) => client.turn());
    });
  }

  part(bytes: Uint8Array): void {
    this.#parts.push(bytes);
  }

  key(key: number): void {
    this.#keys.push(key);
  }

  load(token: number): void {
    this.#run(token, (store) => store.load());
  }

  readLog(token: number, after: number): void {
    this.#run(token, (store) => store.readLog(after));
  }

  readSegments(token: number): void {
    const keys = this.#keys.splice(0);
    this.#run(token, (store) => store.readSegments(keys));
  }

  append(token: number, strict: boolean): void {
    const records = this.#parts.splice(0);
    this.#run(token, (store) => store.append(records, strict));
  }

  seal(token: number, expect: number, upto: number, fence: number): void {
    const parts = this.#parts.splice(0);
    this.#run(token, (store) => store.seal({ expect, upto, fence, parts }));
  }

  clean(token: number, fence: number): void {
    const [keys, parts] = [this.#keys.splice(0), this.#parts.splice(0)];
    this.#run(token, (store) => store.clean(fence, keys, parts));
  }

  fetch(token: number, path: string, body: string | undefined, bearer: string | undefined): void {
    const abort = new AbortController();
    this.#requests.set(token, abort);
    const answer = {
      head: (status: number, retryAfterMs: number | undefined, json: boolean) =>
        this.#tell((client) => client.response(token, status, retryAfterMs, json)),
      piece: async (bytes: Uint8Array) => {
        this.#say(module.CHUNK, token, 0, undefined, bytes);
        // A fast network must not fill the memory.
        if (this.#storesUnderWay >= STORES_AHEAD_MAX) await new Promise<void>((resolve) => this.#room.push(resolve));
      },
    };
    const done = (what: number, message?: string): void => {
      if (this.#requests.delete(token)) this.#say(what, token, 0, message);
    };
    this.net.exchange(path, body, bearer, abort.signal, answer).then(
      () => done(module.FINISHED),
      (thrown: unknown) => done(module.NET_FAILED, textOf(thrown)),
    );
  }

  abort(token: number): void {
    const request = this.#requests.get(token);
    this.#requests.delete(token);
    request?.abort();
  }

  socketOpen(token: number): void {
    this.#socket?.socket.close();
    const socket = this.net.socket({
      open: () => this.#say(module.SOCKET_OPEN, token),
      text: (text) => this.#say(module.SOCKET_MESSAGE, token, 0, text),
      closed: (code) => this.#say(module.SOCKET_CLOSED, token, code),
    });
    this.#socket = { token, socket };
  }

  socketSend(token: number, text: string): void {
    if (this.#socket?.token === token) this.#socket.socket.send(text);
  }

  socketClose(token: number): void {
    if (this.#socket?.token !== token) return;
    this.#socket.socket.close();
    this.#socket = undefined;
  }

  askToken(why: Parameters<WireHost["token"]>[0]): void {
    // In a microtask: `auth` is the app's own function.
    void Promise.resolve()
      .then(() => this.owner.token(why))
      .then(
        (token) => this.#say(module.TOKEN, 0, 0, typeof token === "string" && token !== "" ? token : undefined),
        (thrown: unknown) => this.#say(module.TOKEN_FAILED, 0, 0, textOf(thrown)),
      );
  }

  /** Tells the other tabs. While there are none, no news of the log: who comes asks how far it is. */
  broadcast(bytes: Uint8Array): void {
    if (this.#company || (bytes[0] as number) >= NEWS_END) this.#post(bytes);
  }

  lock(what: "ask" | "steal" | "leave"): void {
    if (what === "leave") this.#lock?.release();
    else this.#lock?.request(what === "steal");
  }

  wake(atMs: number): void {
    time.cancel(this.#wake);
    // One more: a wake-up before its time would be asked for again at once. One that is farther away than a timer can
    // wait comes early, and the engine asks again.
    const delay = Math.min(Math.max(0, atMs - Math.floor(time.mono())) + 1, TIMEOUT_MS_MAX);
    this.#wake = time.after(() => this.#say(module.WAKE), delay);
  }

  /** The store is open. Where everything was let go before, it is closed already. */
  #take(store: Store): Store {
    if (this.#over) return store;
    this.store = store;
    // Who is told that the page is visible looks at the log.
    store.lost = () => {
      const shown = this.#shown;
      this.#visible(true);
      if (!shown) this.#visible(false);
    };
    const name = store.kind === "memory" ? undefined : databaseName(this.name);
    this.#lock = new Lock(name, this.#around, (held) => this.#say(held ? module.LOCK_HELD : module.LOCK_LOST));
    // A store in memory is this tab's alone: what others say of theirs means nothing here.
    if (name !== undefined) this.#join(name);
    return store;
  }

  /** Other tabs; where the browser has no channel they meet in the log alone. */
  #join(name: string): void {
    this.#channel = this.#around.channel(name);
    if (this.#channel === undefined) return;
    this.#channel.onmessage = ({ data }) => {
      this.#company = true;
      if (data === WHO) this.#post(HERE);
      if (data instanceof Uint8Array) this.#say(module.MESSAGE, 0, 0, undefined, data);
    };
    this.#post(WHO);
  }

  #post(message: Uint8Array | string): void {
    try {
      this.#channel?.postMessage(message);
    } catch {
      // It is closed; a message is a hint.
    }
  }

  /** Tells what the browser believes of the network and the page. */
  #listen(): void {
    this.#around.listen(
      this.#alive.signal,
      (is) => this.#say(module.ONLINE, 0, +is),
      (is) => this.#visible(is),
    );
  }

  #visible(is: boolean): void {
    this.#shown = is;
    // Tabs that came while this page was frozen or put away do not know of it.
    this.#post(WHO);
    this.#say(module.VISIBLE, 0, +is);
  }

  /** Does one piece of work of the store. */
  #run(token: number, work: (store: Store) => Promise<Reply>): void {
    this.#storesUnderWay += 1;
    void (this.store === undefined ? this.#opening.then(work) : work(this.store))
      .catch((error: unknown): Reply => {
        if (whyOf(error) === "sealed") {
          this.#opened?.reject(new TidewireError("encrypted", "Open this store with `encrypt`."));
        }
        return { answer: ANSWERS[whyOf(error)] ?? module.FAILED };
      })
      .then(({ answer, number = 0, parts = [], directories = 0 }) => {
        this.#storesUnderWay -= 1;
        for (const wait of this.#room.splice(0)) wait();
        this.#tell((client) => {
          for (const [key, bytes] of parts) client.part(key, bytes);
          client.stored(token, answer, number, directories);
        });
      });
  }

  #say(what: number, token = 0, number = 0, text?: string, bytes?: Uint8Array): void {
    this.#tell((client) => {
      if (bytes !== undefined) client.part(0, bytes);
      client.tell(what, token, number, text);
    });
  }

  /** Tells the module something. Whatever it throws is a trap, and then this instance is lost. */
  #tell(say: (client: ModuleClient) => void): void {
    if (this.#over || this.client === undefined) return;
    try {
      say(this.client);
    } catch (error) {
      if (!isLacking(error)) console.error("tidewire: the module failed and is started anew", error);
      return this.trapped();
    }
    if (this.#storesUnderWay === 0 && !this.#scheduled) for (const wait of this.#idle.splice(0)) wait();
  }
}

/** What a thrown value says. */
function textOf(thrown: unknown): string {
  const message = (thrown as Partial<Error> | null | undefined)?.message ?? thrown;
  return typeof message === "string" ? message : "something that is no error was thrown";
}
