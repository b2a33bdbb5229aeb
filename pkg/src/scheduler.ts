/**
 * When subscribers hear of changes: with the next frame where the page is visible, else in a task of its own. Many
 * changes before that are one delivery.
 */
import { time } from "./env.js";
import type { Source } from "./live.js";

/** A page that is hidden in the meantime gets no frame; then this bounds the wait. */
const FRAME_WAIT_MAX_MS = 100;

/** The pending deliveries of one database. */
export class Scheduler {
  readonly #frame = new Set<Source<unknown>>();
  readonly #soon = new Set<Source<unknown>>();
  #cancel: (() => void) | undefined;

  /** `source` may have a new value. `own`: by a write of this tab, just now. */
  changed(source: Source<unknown>, own: boolean): void {
    if (source.wants("frame") || (!own && source.wants("own"))) this.#laterInFrame(source);
    if (own && source.wants("own")) this.#ownWrite(source);
  }

  /** First delivery to a new subscriber. */
  request(source: Source<unknown>): void {
    this.#laterInFrame(source);
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#frame.clear();
  }

  /** The first own write in a task is told at once; those that follow in the same task are told together after it. */
  #ownWrite(source: Source<unknown>): void {
    if (this.#soon.has(source)) return;
    this.#soon.add(source);
    source.deliver("own");
    queueMicrotask(() => {
      this.#soon.delete(source);
      source.deliver("own");
    });
  }

  #laterInFrame(source: Source<unknown>): void {
    this.#frame.add(source);
    this.#cancel ??= nextFrame(() => {
      this.#cancel = undefined;
      const due = [...this.#frame];
      this.#frame.clear();
      for (const each of due) {
        each.deliver("frame");
        each.deliver("own");
      }
    });
  }
}

function nextFrame(fn: () => void): () => void {
  const visible =
    typeof document !== "undefined" &&
    document.visibilityState === "visible" &&
    typeof requestAnimationFrame === "function";
  let frame: number | undefined;
  const timer = time.after(run, visible ? FRAME_WAIT_MAX_MS : 0);
  if (visible) frame = requestAnimationFrame(run);
  function cancel(): void {
    time.cancel(timer);
    if (frame !== undefined) cancelAnimationFrame(frame);
  }
  function run(): void {
    cancel();
    fn();
  }
  return cancel;
}
