/**
 * What the browser says of the room for this page's data: how much is used, how much there is, and whether the data
 * stays when the device runs short. A page that was not promised that it stays can lose it all.
 *
 * An estimate is one: browsers round it, and a store can be full long before. No write depends on it.
 */

/** As `health` shows it; null: the browser does not say. */
export interface Room {
  readonly persisted: boolean | null;
  readonly usage: number | null;
  readonly quota: number | null;
}

/** The browser is asked again after this time. */
const OLD_MS = 60_000;

const manager = (): StorageManager | undefined => (typeof navigator === "object" ? navigator.storage : undefined);

/** Asked once per page: a browser that asks the user does so once. */
let asked = false;

/** See the module's text. */
export class RoomView {
  #room: Room = { persisted: null, usage: null, quota: null };
  #lookedAt = -OLD_MS;

  /** `moved` hears when something else is known. */
  constructor(private readonly moved: () => void) {}

  /** What is known. Whoever asks has it looked up, if that was long ago. */
  get current(): Room {
    if (performance.now() - this.#lookedAt >= OLD_MS) void this.#look();
    return this.#room;
  }

  /** Something was stored that must not be lost: asks the browser to keep it. */
  async keep(): Promise<void> {
    if (asked) return;
    asked = true;
    const storage = manager();
    if (await storage?.persisted?.().catch(() => false)) return;
    await storage?.persist?.().catch(() => false);
    await this.#look();
  }

  async #look(): Promise<void> {
    this.#lookedAt = performance.now();
    const storage = manager();
    const [persisted, estimate] = await Promise.all([
      storage?.persisted?.().catch(() => undefined),
      storage?.estimate?.().catch(() => undefined),
    ]);
    const room = { persisted: persisted ?? null, usage: estimate?.usage ?? null, quota: estimate?.quota ?? null };
    if (JSON.stringify(room) === JSON.stringify(this.#room)) return;
    this.#room = room;
    this.moved();
  }
}
