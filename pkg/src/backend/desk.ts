/** What pulls and pushes share: the backend, the gate before it, what is known of its rows, and how its calls end. */
import type { Settings } from "./decide.js";
import { Gate } from "./gate.js";
import { Rows } from "./rows.js";
import { messageOf, waitOf } from "./status.js";
import type { Backend, Rate } from "./types.js";
import type { PeerEngine } from "../wasm/wire.js";

/** As `REQUEST_TIMEOUT_MS` of `core/src/limits.rs`. */
const TIMEOUT_MS = 10_000;

/** What a peer is made of. */
export interface PeerParts {
  /** The backend, the newest that the app gave. */
  readonly backend: () => Backend;
  readonly settings: () => { readonly [collection: string]: Settings };
  readonly rate: Rate | undefined;
  /** How long one call may take. */
  readonly timeoutMs: number | undefined;
  /** Whose store this is. */
  readonly user: string | null;
}

/** See the module's text. */
export class Desk {
  readonly rows: Rows;
  readonly gate: Gate;
  readonly backend: PeerParts["backend"];
  readonly settings: PeerParts["settings"];
  readonly timeoutMs: number;
  readonly #user: string | null;
  readonly #said = new Set<string>();

  constructor(
    parts: PeerParts,
    private readonly engine: PeerEngine,
    /** Asks the engine for another pull. */
    readonly again: () => void,
  ) {
    this.rows = new Rows(engine);
    this.gate = new Gate(parts.rate);
    this.backend = parts.backend;
    this.settings = parts.settings;
    this.timeoutMs = parts.timeoutMs ?? TIMEOUT_MS;
    this.#user = parts.user;
  }

  /** What every answer says first. */
  greeting(): { v: 1; now: number; user: { tenant: string; subject: string } } {
    return { v: 1, now: Date.now(), user: { tenant: "backend", subject: this.#user ?? "" } };
  }

  /** A call that reads. */
  async read<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal.addEventListener("abort", () => this.gate.sweep(), { once: true });
    const answer = await this.gate.run("read", signal, async () => ({ value: await this.timed(signal, work) }));
    if (answer === undefined) throw new Error("nobody waits for this any more");
    return answer.value;
  }

  /** A call that ends in time, or with an error: who does not heed its signal is not waited for. */
  async timed<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const mine = new AbortController();
    let abort = (): void => undefined;
    const aborted = new Promise<never>((_, reject) => {
      abort = () => {
        mine.abort();
        reject(new Error("no answer in time"));
      };
    });
    const timer = setTimeout(abort, this.timeoutMs);
    signal.addEventListener("abort", abort);
    try {
      return await Promise.race([work(mine.signal), aborted]);
    } catch (error) {
      this.#heed(error);
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    }
  }

  /** Tells the app of an answer that cannot be used; of each kind once. */
  bad(collection: string, id: unknown, why: unknown): void {
    const about = typeof id === "string" ? `"${id}" of "${collection}"` : `"${collection}"`;
    const message = `The backend's answer about ${about} cannot be used: ${messageOf(why)}`;
    if (this.#said.has(message)) return;
    this.#said.add(message);
    this.engine.event({ type: "watchdog", code: "bad-response", message });
  }

  /** Who asks for patience is not called meanwhile. */
  #heed(error: unknown): void {
    const wait = waitOf(error);
    if (wait !== undefined) this.gate.pause(wait);
  }
}
