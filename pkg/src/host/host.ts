/**
 * One client as the face sees it: opened once, closed once, and between that the calls of the app, which the module
 * answers at once. What the module asks of the browser is done in `effects.ts`.
 */
import { time } from "../env.js";
import { TidewireError, toTidewireError } from "../errors.js";
import type { Metrics } from "../status.js";
import type { Instance } from "../wasm/bindings.js";
import type { ClientConfig, WireClient, WireHost } from "../wasm/wire.js";
import { Effects } from "./effects.js";
import { IndexedDb } from "./indexeddb.js";
import * as module from "./module.js";
import { lateNet, type Net } from "./net.js";
import { quiet, whyOf } from "./request.js";
import type { Room, RoomView } from "./room.js";
import { closeWhenOpen, type Store } from "./store.js";
import { browser } from "./surroundings.js";

/** Who hears how a host ends. */
export interface HostLife {
  /** The module failed in a task of its own. */
  trapped(): void;
  /** Everything was let go. */
  over(): void;
  /** Loads the second part of the module; resolves when it is there. */
  whole(): Promise<void>;
}

/** Nothing is known, or nothing is stored. */
const NO_ROOM: Room = { persisted: null, usage: null, quota: null };
/** How long to wait before the second part of the module is asked for again; doubled each time. */
const AGAIN_FIRST_MS = 1_000;
const AGAIN_MAX_MS = 30_000;

type Phase = "new" | "opening" | "open" | "closed";

/** See the module's text. */
export class Host implements WireClient {
  readonly #config: ClientConfig;
  readonly #effects: Effects;
  readonly #net: Net;
  #phase: Phase = "new";
  #peer: Promise<Net> | undefined;
  #room: RoomView | undefined;
  readonly #told = (): void => this.#effects.eventSoon({ type: "health" });

  constructor(
    private readonly instance: Instance,
    private readonly settings: string,
    /** The store opens while the module is loaded. */
    private readonly opening: Promise<Store>,
    owner: WireHost,
    private readonly life: HostLife,
  ) {
    this.#config = JSON.parse(settings) as ClientConfig;
    const { name, url } = this.#config;
    const { peer, surroundings = browser } = owner;
    this.#net =
      peer === undefined ? surroundings.net(url ?? "", this.#told) : lateNet(() => (this.#peer ??= this.#meet(peer)));
    this.#effects = new Effects(name, this.#net, owner, () => {
      this.abandon();
      life.trapped();
    });
  }

  async open(): Promise<string> {
    if (this.#phase !== "new") throw new TidewireError("closed", "A client is opened once: make a new one.");
    this.#phase = "opening";
    try {
      await this.#open();
      if (!this.#becomesOpen()) {
        // Closed while it opened.
        await this.#finish();
        throw closedError();
      }
    } catch (error) {
      this.abandon();
      throw error;
    }
    // Not before the writes that have waited for this are on their way.
    time.after(() => void this.#complete());
    const storage = this.#effects.kind;
    if (storage !== this.#config.storage) this.#effects.eventSoon({ type: "storage", storage, code: "storage" });
    return JSON.stringify({ storage });
  }

  write(request: string, lines: string): string {
    return this.#call(module.WRITE, request, lines);
  }

  undo(write: number): string {
    return this.#call(module.UNDO, `${write}`);
  }

  row(collection: string, id: string): string | undefined {
    return this.#ask(module.ROW, collection, id);
  }

  want(collection: string, id: string): void {
    this.#effects.ask((client) => client.call(module.WANT, collection, id));
    // What finds a page is in the second part, and who asks for a row now will ask for more.
    void quiet(this.life.whole().then(() => this.#effects.whole()));
  }

  rows(collection: string, ids: string): string {
    return this.#call(module.ROWS, collection, ids);
  }

  query(request: string): string {
    return this.#call(module.QUERY, request);
  }

  view(what: Parameters<WireClient["view"]>[0]): string {
    const view = this.#call(module.VIEW, what);
    // What travelled the engine does not know either.
    const { saved } = this.#net;
    if (what === "metrics" && saved !== undefined) {
      const metrics = JSON.parse(view) as Metrics;
      const { bytesUp, bytesDown } = metrics;
      // As JSON what is not a number is null.
      return JSON.stringify({ ...metrics, wireUp: bytesUp - saved.up, wireDown: bytesDown - saved.down });
    }
    if (what !== "status" && what !== "health") return view;
    // Both name the store, which the engine does not know, and health says what room there is.
    const storage = this.#effects.kind;
    const known = { storage, ...(what === "health" && this.#roomView(storage)) };
    return `${JSON.stringify(known).slice(0, -1)},${view.slice(1)}`;
  }

  keep(): void {
    if (this.#config["persist"] !== false && this.#effects.kind === "indexeddb")
      void quiet(this.#look().then((room) => room.keep()));
  }

  command(request: string): string {
    return this.#call(module.COMMAND, request);
  }

  exportData(): string {
    return this.#call(module.EXPORT);
  }

  async close(): Promise<void> {
    const phase = this.#phase;
    this.#phase = "closed";
    if (phase === "open") await this.#finish();
    // What opens now lets go itself.
    else if (phase === "new") this.abandon();
  }

  async erase(): Promise<void> {
    await this.close();
    const { store = new IndexedDb(this.#config.name) } = this.#effects;
    await store.erase().catch((error: unknown) => {
      throw storageError(error, "The database could not be deleted: close other tabs.");
    });
  }

  /** Lets everything of the browser go, and does not touch the module again. */
  abandon(): void {
    this.#phase = "closed";
    this.#effects.release(closedError());
    this.#net.close?.();
    closeWhenOpen(this.opening);
    this.life.over();
  }

  /** Loads the peer of this tab. One that could not be loaded is asked for again. */
  async #meet(peer: NonNullable<WireHost["peer"]>): Promise<Net> {
    try {
      return await peer({
        command: (request) => this.#effects.ask((client) => client.call(module.COMMAND, JSON.stringify(request), "")),
        query: (request) => this.#effects.ask((client) => client.call(module.QUERY, JSON.stringify(request), "")),
        event: (event) => this.#effects.eventSoon(event),
      });
    } catch (error) {
      this.#peer = undefined;
      throw error;
    }
  }

  /** What room there is, as far as it is known. */
  #roomView(storage: Store["kind"] | undefined): Room {
    if (storage === "memory") return NO_ROOM;
    if (this.#room === undefined) void quiet(this.#look());
    return this.#room?.current ?? NO_ROOM;
  }

  /** Its code is loaded here: nobody waits for it. */
  async #look(): Promise<RoomView> {
    const { RoomView } = await import("./room.js");
    if (this.#room === undefined) {
      this.#room = new RoomView(this.#told);
      this.#told();
    }
    return this.#room;
  }

  #call(what: number, text = "", more = ""): string {
    return this.#ask(what, text, more) as string;
  }

  #ask(what: number, text: string, more: string): string | undefined {
    const { client } = this.#effects;
    if (this.#phase !== "open" || client === undefined) throw closedError();
    return client.call(what, text, more);
  }

  async #open(): Promise<void> {
    const entropy = time.random(16);
    const client = this.instance.client(this.settings, entropy, this.#effects);
    const opening = this.opening.catch((error: unknown) => {
      throw storageError(error, "The browser's storage cannot be opened: reload, or free some space.");
    });
    await this.#effects.start(client, opening);
  }

  /** Until the second part of the module is there this tab reads, writes, and follows. */
  async #complete(wait = AGAIN_FIRST_MS): Promise<void> {
    try {
      if (this.#phase === "open") await this.life.whole();
      this.#effects.whole();
    } catch (error) {
      if (this.#phase !== "open") return;
      const { code, message } = toTidewireError(error);
      this.#effects.eventSoon({ type: "watchdog", code, message: `${message} Until then nothing is synced.` });
      time.after(() => void this.#complete(Math.min(wait * 2, AGAIN_MAX_MS)), wait);
    }
  }

  #becomesOpen(): boolean {
    const wanted = this.#phase === "opening";
    if (wanted) this.#phase = "open";
    return wanted;
  }

  /** Lets the engine write down what it has, waits for the store, and lets everything go. */
  async #finish(): Promise<void> {
    await this.#effects.finish();
    this.abandon();
  }
}

/** The error codes of failures of the store; of all others, `storage`. */
const CODES: { readonly [why: string]: string | undefined } = {
  quota: "quota",
  wiped: "storage-wiped",
  newer: "format-newer",
};

function storageError(error: unknown, hint: string): unknown {
  // What is said already, such as that a key is wrong.
  if (typeof (error as { code?: unknown }).code === "string") return error;
  const code = CODES[whyOf(error)] ?? "storage";
  return new TidewireError(code, hint, { retryable: code !== "format-newer", cause: error });
}

/** The error of every call that comes before `open()` or after `close()`. */
function closedError(): TidewireError {
  return new TidewireError("closed", "This database is not open: call `openDb` again.");
}
