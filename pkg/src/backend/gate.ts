/**
 * The one gate for all calls to a backend: so many at once, and their starts so far apart. A read goes before the
 * writes that wait, and then a write goes before the next read.
 */
import type { Rate } from "./types.js";

const CONCURRENCY = 4;

/** Beyond it a timer of the browser ends at once. */
const WAIT_MS_MAX = 2 ** 31 - 1;

interface Waiter {
  readonly signal: AbortSignal;
  end(turn: boolean): void;
}

/** See the module's text. */
export class Gate {
  readonly #reads: Waiter[] = [];
  readonly #writes: Waiter[] = [];
  readonly #intervalMs: number;
  readonly #concurrency: number;
  #running = 0;
  #readLast = false;
  /** One has its turn and has not started yet: until then nobody knows when the next may. */
  #starting = false;
  /** When the next call may start, by the monotonic clock. */
  #nextMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor({ minIntervalMs = 0, concurrency = CONCURRENCY }: Rate = {}) {
    this.#intervalMs = minIntervalMs;
    this.#concurrency = concurrency;
  }

  /**
   * Does the work when its turn comes. Aborted before that, it is not done, and this says so with `undefined`; whoever
   * aborts calls {@link Gate.sweep}.
   */
  async run<T>(kind: "read" | "write", signal: AbortSignal, work: () => Promise<T>): Promise<T | undefined> {
    if (signal.aborted || !(await this.#turn(kind === "read" ? this.#reads : this.#writes, signal))) return undefined;
    try {
      const working = work();
      // From when it has started: whatever came between is no time between two starts.
      this.#nextMs = Math.max(this.#nextMs, performance.now() + this.#intervalMs);
      this.#starting = false;
      this.#next();
      return await working;
    } finally {
      this.#running -= 1;
      this.#next();
    }
  }

  /** No call starts for so long. */
  pause(ms: number): void {
    this.#nextMs = Math.max(this.#nextMs, performance.now() + ms);
  }

  /** Those in the line whose signals were aborted leave it. */
  sweep(): void {
    for (const line of [this.#reads, this.#writes]) {
      const gone = line.filter(({ signal }) => signal.aborted);
      if (gone.length > 0) line.splice(0, line.length, ...line.filter(({ signal }) => !signal.aborted));
      for (const { end } of gone) end(false);
    }
  }

  #turn(line: Waiter[], signal: AbortSignal): Promise<boolean> {
    return new Promise((end) => {
      line.push({ signal, end });
      this.#next();
    });
  }

  #next(): void {
    if (this.#starting || this.#running >= this.#concurrency) return;
    const [reads, writes] = [this.#reads, this.#writes];
    const line = reads.length > 0 && !(this.#readLast && writes.length > 0) ? reads : writes;
    const [waiter] = line;
    if (waiter === undefined) return;
    const wait = this.#nextMs - performance.now();
    if (wait > 0) return this.#wait(wait);
    line.shift();
    this.#readLast = line === reads;
    this.#starting = true;
    this.#running += 1;
    waiter.end(true);
  }

  #wait(ms: number): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#next();
      },
      Math.min(Math.ceil(ms), WAIT_MS_MAX),
    );
  }
}
