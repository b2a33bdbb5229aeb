/**
 * Live values: a value that is computed from the core, kept until something that it depends on changes, and delivered
 * to those who subscribed.
 *
 * `peek` is always current: it recomputes if it must, and returns the same object as before if nothing changed. Only
 * the *delivery* waits for a frame. A subscriber that throws disturbs nobody else.
 */
import { abortedError, guarded, toTidewireError, type TidewireError } from "./errors.js";

/** A value that changes. `undefined` from `peek` means: not known yet. */
export interface Live<T> {
  peek(): T | undefined;
  /** The value as soon as the store is open; never waits for the network. */
  get(options?: { readonly signal?: AbortSignal }): Promise<T>;
  /** Calls `fn` with the value and then with each new one, at most once a frame; `flush: "sync"`: at once. */
  subscribe(fn: (value: T) => void, options?: SubscribeOptions): () => void;
}

/** How a subscriber wants its values. */
export interface SubscribeOptions {
  readonly flush?: "frame" | "sync";
  /** The store could not be opened, or the value could not be computed. */
  readonly onError?: (error: TidewireError) => void;
}

/** How a value is made. */
export interface Recipe<T> {
  /** Names the value: equal keys share one source. */
  readonly key: string;
  /** What it depends on; see `topics` in `session.ts`. */
  readonly topics: readonly string[];
  /** `watched`: it will be asked again at each change. */
  compute(watched: boolean): T;
  /** The value while the store opens, if it is known before. */
  early?(signal?: AbortSignal): Promise<{ readonly value: T } | undefined>;
  /** Nobody watches it any more. */
  release?(): void;
  /** Whether a new value is the old one; then the old object stays. */
  same(old: T, fresh: T): boolean;
}

/** What a source needs of the session. */
export interface SourceHost {
  readonly ready: boolean;
  readonly failure: TidewireError | undefined;
  start(): void;
  whenOpen(signal?: AbortSignal): Promise<void>;
  attach(source: Source<unknown>): void;
  detach(source: Source<unknown>): void;
  schedule(source: Source<unknown>): void;
}

/** `own`: at once for this tab's own writes (a controlled input must not lose its caret), else with the frame. */
export type Flush = "frame" | "sync" | "own";

interface Watcher<T> {
  readonly flush: Flush;
  readonly changed: (value: T) => void;
  readonly failed: ((error: TidewireError) => void) | undefined;
  last: T | typeof NOTHING | undefined;
  told: TidewireError | undefined;
}

/** What a watcher has been told before it has been told anything. */
const NOTHING = Symbol("nothing delivered");

/** One live value, shared by all who ask for the same key. */
export class Source<T> {
  readonly #watchers = new Set<Watcher<T>>();
  #value: T | undefined;
  #error: TidewireError | undefined;
  #known = false;
  #dirty = true;

  constructor(
    readonly recipe: Recipe<T>,
    private readonly host: SourceHost,
  ) {}

  get watched(): boolean {
    return this.#watchers.size > 0;
  }

  /** Something that it depends on changed. */
  invalidate(): void {
    this.#dirty = true;
  }

  /** What it was must not be shown any more: another store is behind it. */
  forget(): void {
    this.#dirty = true;
    this.#known = false;
    this.#value = undefined;
    this.#error = undefined;
  }

  /** Lets go what is only there for who watches. */
  release(): void {
    if (!this.watched) this.recipe.release?.();
  }

  /** The current value; the last known one while a fresh instance is being made. */
  snapshot(watched = this.watched): T | undefined {
    this.host.start();
    if (this.#dirty && this.host.ready) this.#compute(watched);
    return this.#known ? this.#value : undefined;
  }

  /** The value inside the computation of another one: what goes wrong is thrown. */
  current(watched = false): T {
    const value = this.snapshot(watched);
    if (this.#error !== undefined) throw this.#error;
    return value as T;
  }

  /** Why there is no value. */
  failure(): TidewireError | undefined {
    return this.host.failure ?? this.#error;
  }

  async get(signal?: AbortSignal): Promise<T> {
    const early = this.host.ready ? undefined : await this.recipe.early?.(signal);
    await (early ?? this.host.whenOpen(signal));
    if (signal?.aborted === true) throw abortedError(signal);
    return early === undefined ? this.current() : early.value;
  }

  watch(
    changed: (value: T) => void,
    flush: Flush,
    failed?: (error: TidewireError) => void,
    initial = true,
  ): () => void {
    const watcher: Watcher<T> = { changed, flush, failed, last: NOTHING, told: undefined };
    if (!initial && this.#known) watcher.last = this.snapshot();
    if (this.#watchers.size === 0) this.host.attach(this as Source<unknown>);
    this.#watchers.add(watcher);
    this.host.start();
    if (flush === "sync") this.deliver("sync");
    else this.host.schedule(this as Source<unknown>);
    return () => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size > 0) return;
      this.host.detach(this as Source<unknown>);
      // A component that mounts twice watches again at once.
      queueMicrotask(() => this.release());
    };
  }

  wants(flush: Flush): boolean {
    for (const watcher of this.#watchers) if (watcher.flush === flush) return true;
    return false;
  }

  /** Tells the watchers of one kind (all kinds if left out) what they have not seen. */
  deliver(flush?: Flush): void {
    const value = this.snapshot();
    const failure = this.failure();
    for (const watcher of [...this.#watchers]) {
      if ((flush !== undefined && watcher.flush !== flush) || !this.#watchers.has(watcher)) continue;
      if (failure !== undefined && failure !== watcher.told) {
        watcher.told = failure;
        guarded(() => watcher.failed?.(failure));
      } else if (this.#known && failure === undefined && watcher.last !== value) {
        watcher.last = value;
        watcher.told = undefined;
        guarded(() => watcher.changed(value as T));
      }
    }
  }

  #compute(watched: boolean): void {
    try {
      const fresh = this.recipe.compute(watched);
      if (!this.#known || !this.recipe.same(this.#value as T, fresh)) this.#value = fresh;
      this.#known = true;
      this.#dirty = false;
      this.#error = undefined;
    } catch (error) {
      if (!this.host.ready) return;
      this.#dirty = false;
      this.#error = toTidewireError(error);
    }
  }
}

/** The public view of a source. */
export function liveOf<T>(source: () => Source<T>): Live<T> {
  return {
    peek: () => source().snapshot(),
    get: (options) => source().get(options?.signal),
    subscribe: (fn, options) => source().watch(fn, options?.flush ?? "frame", options?.onError),
  };
}

/** Whether two lists hold the same objects in the same order. */
export function sameItems(old: readonly unknown[], fresh: readonly unknown[]): boolean {
  if (old === fresh) return true;
  return old.length === fresh.length && old.every((item, index) => item === fresh[index]);
}
