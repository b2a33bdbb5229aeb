/**
 * The clock of a test: it stands still but where the test moves it. Everything of the SDK that waits, waits for it:
 * retries, timeouts, heartbeats, polling, and what travels between devices and server.
 *
 * What is due now, or within a millisecond, happens by itself, in a task of its own: so a test that merely awaits a
 * write need not know of the clock. The invariant: the order of what happens depends on what the test did, and on
 * nothing else.
 */
import { time } from "../env.js";
import { newest } from "../ids.js";

/** The clock, as a test sees it. */
export interface TestClock {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Moves it on. All that becomes due on the way happens, each at its time. */
  advance(ms: number): Promise<void>;
  /** Moves it on from one thing that is due to the next until the promise settles; at most so far. */
  until<T>(promise: PromiseLike<T>, limitMs?: number): Promise<T>;
}

type Timer = ReturnType<typeof setTimeout>;
interface Due {
  readonly number: number;
  readonly at: number;
  readonly run: () => void;
}

/** What is due so soon happens by itself: the SDK adds a millisecond to what is due now. */
const SOON_MS = 1;
/** How far `until` and `settled` go, unless told otherwise. */
export const LIMIT_MS = 60_000;
/** Turns of the event loop in which promises, and what they wait for, come to rest. */
const TURNS = 3;

/** Where nothing is due, something may still be read or loaded: pauses before that is given up. */
const IDLE_MAX = 40;
const PAUSE_MS = 5;

// Those of the platform, also where the test replaces them.
const { setTimeout: later, setImmediate: soon } = globalThis as typeof globalThis & {
  setImmediate?: (run: () => void) => void;
};
const turn = (): Promise<void> => new Promise((resolve) => void (soon === undefined ? later(resolve) : soon(resolve)));
const pause = (): Promise<number> => new Promise((resolve) => void later(() => resolve(1), PAUSE_MS));

/** See the module's text. */
export class Clock implements TestClock {
  #now: number;
  readonly #began: number;
  #due: Due[] = [];
  #count = 0;
  #soon = false;
  /** While somebody moves the clock nothing happens by itself. */
  #moving = 0;
  #random: number;
  readonly #before = { ...time };

  constructor(now: number, seed: number) {
    this.#now = now;
    this.#began = now - 1_000;
    this.#random = seed;
    Object.assign(newest, { ms: 0, sequence: 0 });
    Object.assign(time, {
      wall: () => this.#now,
      mono: () => this.#now - this.#began,
      after: (run: () => void, ms?: number) => this.after(run, ms),
      cancel: (timer?: Timer) => this.#cancel(timer),
      random: (count: number) => this.#bytes(count),
    } satisfies typeof time);
  }

  get now(): number {
    return this.#now;
  }

  /** Gives the SDK its own clock back. */
  stop(): void {
    this.#due = [];
    Object.assign(time, this.#before);
  }

  after(run: () => void, ms = 0): Timer {
    this.#count += 1;
    const due = { number: this.#count, at: this.#now + Math.max(0, Math.ceil(ms)), run };
    const at = this.#due.findIndex((other) => other.at > due.at);
    this.#due.splice(at < 0 ? this.#due.length : at, 0, due);
    this.#wake();
    return due.number as unknown as Timer;
  }

  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await this.#move(async () => {
      await this.rest();
      while (this.#next(end)) await this.rest();
      this.#now = end;
    });
  }

  async until<T>(promise: PromiseLike<T>, limitMs = LIMIT_MS): Promise<T> {
    let over = false;
    const end = (): void => void (over = true);
    promise.then(end, end);
    await this.run(() => over, limitMs);
    if (!over) throw new Error(`Nothing came of it within ${limitMs} ms of the test's clock.`);
    return promise;
  }

  /** Lets happen what is due, one after the other, until `done` says so; whether it did within `limitMs`. */
  async run(done: () => boolean, limitMs = LIMIT_MS): Promise<boolean> {
    const end = this.#now + limitMs;
    return this.#move(async () => {
      for (let idle = 0; idle < IDLE_MAX; ) {
        await this.rest();
        if (done()) return true;
        if (this.#next(end)) idle = 0;
        else idle += await pause();
      }
      return false;
    });
  }

  /** Promises come to rest. */
  async rest(): Promise<void> {
    for (let count = 0; count < TURNS; count += 1) await turn();
  }

  async #move<T>(work: () => Promise<T>): Promise<T> {
    this.#moving += 1;
    try {
      return await work();
    } finally {
      this.#moving -= 1;
      this.#wake();
    }
  }

  /** Lets the next thing happen that is due by `end`. */
  #next(end: number): boolean {
    const next = this.#due[0];
    if (next === undefined || next.at > end) return false;
    this.#due.shift();
    this.#now = Math.max(this.#now, next.at);
    next.run();
    return true;
  }

  #wake(): void {
    const next = this.#due[0];
    if (this.#soon || this.#moving > 0 || next === undefined || next.at > this.#now + SOON_MS) return;
    this.#soon = true;
    void turn().then(() => {
      this.#soon = false;
      if (this.#moving === 0) this.#next(this.#now + SOON_MS);
      this.#wake();
    });
  }

  #cancel(timer?: Timer): void {
    const number = timer as unknown as number | undefined;
    this.#due = this.#due.filter((due) => due.number !== number);
  }

  /** Mulberry32: small, and equal on all machines. */
  #bytes(count: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(count).map(() => {
      this.#random = (this.#random + 0x6d2b79f5) | 0;
      let mixed = Math.imul(this.#random ^ (this.#random >>> 15), 1 | this.#random);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) & 0xff;
    });
  }
}
