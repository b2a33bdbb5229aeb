/** Counts traps of the module: more than a few within a minute are not mended by one more instance. */
const PER_MINUTE_MAX = 5;

/** See the module's text. */
export class Traps {
  #at: number[] = [];

  /** One more trap; whether that was one too many. */
  areTooMany(): boolean {
    const now = Date.now();
    this.#at = [...this.#at.filter((at) => now - at < 60_000), now];
    return this.#at.length > PER_MINUTE_MAX;
  }
}
