/**
 * The Web Lock that makes one tab the leader. It is held by a promise that resolves when the tab lets go; a closed or
 * crashed tab lets go by itself. A stolen lock is reported as lost; the engine's fence keeps that safe.
 */
import type { Surroundings } from "./surroundings.js";

/** The lock of one store. */
export class Lock {
  /** Lets go of the lock that was asked for, or stops the waiting. */
  #end: (() => void) | undefined;
  /** Whether it was asked for where there are no locks. */
  #asked = false;

  /** `name` is absent for a store of this tab alone. */
  constructor(
    private readonly name: string | undefined,
    private readonly around: Surroundings,
    private readonly tell: (held: boolean) => void,
  ) {}

  /**
   * Asks for it, or takes it from a tab that is frozen: browsers leave such a tab its lock. Where there are no locks
   * (an insecure context, an old browser) the tab that was opened last leads, by the fence of its record; one that lost
   * the lead so takes it again only when it hears no leader any more.
   */
  request(steal = false): void {
    // Who waits in the line leaves it: stealing goes past it.
    if (steal) this.release();
    if (this.#end !== undefined) return;
    const locks = this.around.locks();
    if (this.name === undefined || locks === undefined) {
      if (steal || !this.#asked) this.tell(true);
      this.#asked = true;
      return;
    }
    const cancel = new AbortController();
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    let held = false;
    let givenBack = false;
    const end = (): void => {
      givenBack = true;
      cancel.abort();
      release();
    };
    this.#end = end;
    const granted = (): Promise<void> => {
      if (!givenBack) {
        held = true;
        // Not from inside the browser's callback: it must return the promise whatever the engine does.
        queueMicrotask(() => this.tell(true));
      }
      return released;
    };
    // Rejected when cancelled (then it was not held) or stolen.
    const over = (): void => {
      if (this.#end === end) this.#end = undefined;
      if (held && !givenBack) this.tell(false);
    };
    // The two options exclude each other, and stealing never waits.
    locks.request(this.name, steal ? { steal } : { signal: cancel.signal }, granted).then(over, over);
  }

  /** Lets go, or stops waiting. */
  release(): void {
    this.#end?.();
    this.#end = undefined;
  }
}
