/**
 * A session: one open store behind the face. It starts the wasm client on first use, keeps what the client says in rows
 * and live values, and makes a fresh client when the instance traps.
 *
 *     idle ──start──► opening ──► open ──trap──► opening …        any ──close──► closed
 *                        └──► failed (if that can help: opened again after a while, or by the next get or write)
 *
 * Invariant: the client is only touched through `call`, so a trap is always seen.
 */
import { time } from "./env.js";
import { abortedError, failingCoreError, isTrap, serverSideError } from "./errors.js";
import { TidewireError, toTidewireError, trapError } from "./errors.js";
import { EarlyRows } from "./early.js";
import { Emitter, type WireEvent } from "./events.js";
import { storeOf } from "./host/connection.js";
import { deepFreeze } from "./json.js";
import { Source, type Recipe, type SourceHost } from "./live.js";
import { RowCache } from "./rows.js";
import { Scheduler } from "./scheduler.js";
import { parseStatus, type SyncView } from "./status.js";
import { topics } from "./topics.js";
import { Traps } from "./traps.js";
import type { ClientFactory, LoadedClient } from "./wasm/client.js";
import type { ClientConfig, WireClient, WireHost } from "./wasm/wire.js";
import { WriteLane } from "./writes.js";

/** Live values that nobody watches are kept up to this number, so that a render and its effect meet the same one. */
const IDLE_SOURCES_MAX = 200;
/** How long to wait before a store that could not be opened is tried again; doubled each time. */
const REOPEN_FIRST_MS = 1_000;
const REOPEN_MAX_MS = 30_000;

type Leave = (client: WireClient) => Promise<void>; // ends the use of a store
type Phase = "idle" | "opening" | "open" | "failed" | "closed";

/** See the module's text. */
export class Session implements SourceHost {
  readonly rows: RowCache;
  readonly writes: WriteLane;
  readonly early = new EarlyRows(this);
  readonly events = new Emitter();
  onOpen: (() => void) | undefined; // called each time the store has been opened
  readonly #sources = new Map<string, Source<unknown>>();
  readonly #topics = new Map<string, Set<Source<unknown>>>();
  readonly #scheduler = new Scheduler();
  readonly #waiters = new Set<{ resolve(): void; reject(error: TidewireError): void }>();
  #phase: Phase = "idle";
  #loaded: LoadedClient | undefined;
  #failure: TidewireError | undefined;
  #failures = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  readonly #traps = new Traps();
  #stopListening: (() => void) | undefined;
  #user: string | null = null;
  /** Settles when no switch is under way; never rejects. */
  switching: Promise<unknown> = Promise.resolve();

  /** `factory` is absent on a server: then nothing ever opens. */
  constructor(
    readonly config: ClientConfig,
    readonly factory: ClientFactory | undefined,
    readonly host: Omit<WireHost, "event">,
  ) {
    this.rows = new RowCache({
      row: (collection, id) => this.call((client) => client.row(collection, id)),
      rows: (collection, ids) => this.call((client) => client.rows(collection, JSON.stringify(ids))),
    });
    this.writes = new WriteLane(this);
  }

  /** Where syncing stands. */
  get status(): Source<SyncView> {
    const { delivery = "exactly-once" } = this.config;
    return this.view<SyncView>("status", [topics.status], (text) => parseStatus(text, delivery));
  }

  /** A view of the client that stays the same object while its text does. */
  view<T>(
    what: "status" | "queue" | "health" | "metrics",
    on: readonly string[],
    parse: (text: string) => T = JSON.parse,
  ): Source<T> {
    return this.source<T>({
      key: `view/${what}`,
      topics: on,
      compute: () => deepFreeze(parse(this.call((client) => client.view(what)))),
      same: (old, fresh) => JSON.stringify(old) === JSON.stringify(fresh),
    });
  }

  get ready(): boolean {
    return this.#phase === "open";
  }

  get closed(): boolean {
    return this.#phase === "closed";
  }

  get failure(): TidewireError | undefined {
    return this.#failure;
  }

  /** Whose store this is; null: that of whoever has not signed in. */
  get user(): string | null {
    return this.#user;
  }

  /**
   * Goes on with the store of `user`. What was written before is durable in the old store first; `leave` ends that
   * one, and `arrived` is what comes before the next switch. Switches run one after the other.
   */
  switchTo<T>(user: string | null, leave: Leave, arrived: () => T | Promise<T>): Promise<T> {
    const turn = this.switching.then(() => this.#switch(user, leave)).then(arrived);
    this.switching = turn.catch(() => undefined);
    return turn;
  }

  /** Begins to open the store, if that has not begun. After a failure only `again` does: a render must not. */
  start(again = false): void {
    if (this.factory === undefined) return;
    if (this.#phase !== "idle" && !(again && this.#phase === "failed" && this.#failure?.retryable === true)) return;
    time.cancel(this.#retry);
    this.#stopListening ??= this.factory.onTrap((generation, lacking) => {
      if (this.#loaded?.generation === generation && !this.closed) this.#recover(lacking);
    });
    void this.#open(this.factory);
  }

  /** Resolves when the store is open. */
  whenOpen(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(abortedError(signal));
    if (this.#phase === "open") return Promise.resolve();
    const refusal = this.refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    this.start(true);
    return new Promise((resolve, reject) => {
      const abort = (): void => waiter.reject(abortedError(signal as AbortSignal));
      const leave = (): void => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener("abort", abort);
      };
      const waiter = {
        resolve: () => (leave(), resolve()),
        reject: (error: TidewireError) => (leave(), reject(error)),
      };
      this.#waiters.add(waiter);
      signal?.addEventListener("abort", abort);
    });
  }

  /** Resolves when the store is open and all of the module is there: what commands and the export wait for. */
  async whenWhole(signal?: AbortSignal): Promise<void> {
    await this.whenOpen(signal);
    await this.factory?.whole();
    await this.whenOpen(signal); // Another instance may have been needed.
  }

  /** Why nothing can be done with this session, now and later. */
  refusal(): TidewireError | undefined {
    if (this.#phase === "closed") return new TidewireError("closed", "This database was closed; call openDb() again.");
    if (this.factory === undefined) return serverSideError();
    if (this.#phase === "failed" && this.#failure?.retryable === false) return this.#failure;
    return undefined;
  }

  /** One synchronous call into the client. */
  call<T>(fn: (client: WireClient) => T): T {
    const loaded = this.#loaded;
    if (this.#phase !== "open" || loaded === undefined) {
      throw (
        this.refusal() ?? new TidewireError("internal", "The store is being opened; try again.", { retryable: true })
      );
    }
    try {
      return fn(loaded.client);
    } catch (error) {
      if (!isTrap(error)) throw toTidewireError(error);
      this.factory?.trapped(loaded.generation);
      throw trapError(error);
    }
  }

  /** The live value of a recipe; equal keys share one. */
  source<T>(recipe: Recipe<T>): Source<T> {
    let source = this.#sources.get(recipe.key);
    if (source === undefined) source = new Source<unknown>(recipe as unknown as Recipe<unknown>, this);
    this.#sources.delete(recipe.key);
    this.#sources.set(recipe.key, source);
    if (this.#sources.size > IDLE_SOURCES_MAX) this.#forgetIdle();
    for (const topic of recipe.topics) this.#topicSet(topic).add(source);
    return source as unknown as Source<T>;
  }

  attach(source: Source<unknown>): void {
    this.#sources.set(source.recipe.key, source);
    for (const topic of source.recipe.topics) this.#topicSet(topic).add(source);
  }

  detach(): void {
    if (this.#sources.size > IDLE_SOURCES_MAX) this.#forgetIdle();
  }

  schedule(source: Source<unknown>): void {
    this.#scheduler.request(source);
  }

  /** Rows of a collection may have changed; `own`: by a write of this tab, just now. */
  touchRows(changes: ReadonlyMap<string, ReadonlySet<string>>, own: boolean): void {
    // A write changes the status and the queue as well, and no event tells of that before the task is over.
    const touched: string[] = [topics.status, topics.queue, topics.conflicts];
    for (const [collection, ids] of changes) {
      this.rows.invalidate(collection, ids);
      touched.push(topics.collection(collection), ...topics.rows(collection, ids, this.#topics));
    }
    this.touch(touched, own);
  }

  /** What depends on these topics is computed again when somebody looks. */
  touch(touched: Iterable<string>, own: boolean): void {
    const dirty = new Set<Source<unknown>>();
    for (const topic of touched) for (const source of this.#topics.get(topic) ?? []) dirty.add(source);
    for (const source of dirty) source.invalidate();
    for (const source of dirty) {
      if (source.wants("sync")) source.deliver("sync");
      if (source.watched) this.#scheduler.changed(source, own);
    }
  }

  async close(erase = false): Promise<void> {
    if (this.#phase === "closed") return;
    const client = this.#loaded?.client;
    this.#phase = "closed";
    this.#loaded = undefined;
    this.#stopListening?.();
    this.#scheduler.stop();
    time.cancel(this.#retry);
    const error = this.refusal() as TidewireError;
    for (const waiter of [...this.#waiters]) waiter.reject(error);
    this.writes.close(error);
    try {
      await (erase ? client?.erase() : client?.close());
    } catch (failure) {
      throw toTidewireError(failure);
    }
  }

  async #switch(user: string | null, leave: Leave): Promise<void> {
    const refusal = this.#phase === "failed" ? undefined : this.refusal();
    if (refusal !== undefined) throw refusal;
    // A store that cannot be opened keeps nobody from signing in to another.
    if (this.#phase !== "idle") await this.whenOpen().catch(() => undefined);
    if (user !== this.#user && !this.closed) {
      while (this.writes.busy) await this.writes.settled();
      await this.#leave(leave).finally(() => (this.#user = user));
    }
    await this.whenOpen();
  }

  async #leave(leave: Leave): Promise<void> {
    const client = this.#phase === "open" ? this.#loaded?.client : undefined;
    // What is written from now on waits for the next store.
    if (client !== undefined) this.#phase = "opening";
    time.cancel(this.#retry);
    try {
      if (client !== undefined) await leave(client);
    } finally {
      if (!this.closed) this.#phase = "idle";
      this.#loaded = undefined;
      this.writes.left();
      this.events.emit("left", {});
      // Nobody is shown what somebody else's store held.
      this.rows.invalidateAll();
      for (const source of this.#sources.values()) source.forget();
    }
  }

  /** The settings of the client, with the name of this user's store. */
  #settings(): ClientConfig {
    return { ...this.config, name: storeOf(this.config.name, this.#user) };
  }

  async #open(factory: ClientFactory): Promise<void> {
    this.#phase = "opening";
    this.#failure = undefined;
    let loaded: LoadedClient | undefined;
    try {
      const host: WireHost = { ...this.host, user: this.#user, event: (json) => this.#events(json, loaded) };
      loaded = await factory.create(JSON.stringify(this.#settings()), host);
      this.#loaded = loaded;
      await this.early.during(loaded.client.open(), loaded.client);
      if (this.closed) return void (await loaded.client.close());
      if (this.#loaded !== loaded) return;
      this.#phase = "open";
      this.#failures = 0;
      this.rows.invalidateAll();
      this.writes.opened();
      this.onOpen?.();
      for (const waiter of [...this.#waiters]) waiter.resolve();
    } catch (error) {
      if (this.closed || this.#loaded !== loaded) return;
      if (isTrap(error) && loaded !== undefined) return factory.trapped(loaded.generation);
      this.#fail(toTidewireError(error));
    }
    this.touch(this.#topics.keys(), false);
  }

  #fail(error: TidewireError): void {
    this.#phase = "failed";
    this.#failure = error;
    if (error.retryable) {
      const wait = Math.min(REOPEN_MAX_MS, REOPEN_FIRST_MS * 2 ** this.#failures);
      this.#failures += 1;
      this.#retry = time.after(() => this.start(true), wait);
    }
    for (const waiter of [...this.#waiters]) waiter.reject(error);
    this.writes.failed(error);
  }

  #recover(lacking: boolean): void {
    if (this.factory === undefined) return;
    this.#loaded = undefined;
    this.writes.trapped();
    if (!lacking && this.#traps.areTooMany()) {
      this.#fail(failingCoreError());
      this.touch(this.#topics.keys(), false);
      return;
    }
    void this.#open(this.factory);
    if (!lacking) this.events.emit("watchdog", { code: "internal", message: "The core failed and was restarted." });
  }

  #events(json: string, from: LoadedClient | undefined): void {
    if (this.closed || from === undefined || from !== this.#loaded) return;
    const touched = new Set<string>();
    const later: (() => void)[] = [];
    for (const event of JSON.parse(json) as WireEvent[]) this.#event(event, from, touched, later);
    this.touch(touched, false);
    for (const tell of later) tell();
  }

  #event(event: WireEvent, from: LoadedClient, touched: Set<string>, later: (() => void)[]): void {
    switch (event.type) {
      case "changed":
        // A row changes with what is queued for it, was refused or is in conflict, and the status counts the first two.
        touched.add(topics.queue).add(topics.status).add(topics.conflicts).add(topics.collection(event.collection));
        this.rows.invalidate(event.collection, event.ids, event.origin);
        for (const id of event.ids) touched.add(topics.row(event.collection, id));
        for (const id of this.rows.asked(event.collection, event.ids)) touched.add(topics.row(event.collection, id));
        return;
      case "loaded":
      case "status":
        touched.add(topics.status).add(topics.queue);
        return;
      case "row":
      case "page":
        return void later.push(() => this.early.hear(event));
      case "queue":
      case "health":
        return void touched.add(event.type);
      case "durable":
        touched.add(topics.queue);
        later.push(() => (this.writes.durable(event.write, event.count), from.client.keep()));
        return;
      case "write-failed":
        later.push(() => this.writes.refused(event.write, event.error));
        return;
      case "verdict":
        later.push(() => this.writes.verdict(event.write, event.index, event.verdict));
        return;
      case "watchdog":
        // The instance says itself that it cannot go on.
        if (event.code === "internal") later.push(() => this.factory?.trapped(from.generation));
        else later.push(() => this.events.emit(event.type, event));
        return;
      default:
        later.push(() => this.events.emit(event.type, event));
    }
  }

  #topicSet(topic: string): Set<Source<unknown>> {
    const set = this.#topics.get(topic) ?? new Set();
    this.#topics.set(topic, set);
    return set;
  }

  #forgetIdle(): void {
    for (const [key, source] of this.#sources) {
      if (this.#sources.size <= IDLE_SOURCES_MAX) return;
      if (source.watched) continue;
      this.#sources.delete(key);
      source.release();
      for (const topic of source.recipe.topics) {
        const set = this.#topics.get(topic);
        set?.delete(source);
        if (set?.size === 0) this.#topics.delete(topic);
      }
    }
  }
}
