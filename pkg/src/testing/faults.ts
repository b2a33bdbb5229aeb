/** What can go wrong between a device and the server, by the will of a test. */

/** What travels: edits, what others changed, single rows, and the live channel. */
export type Traffic = "push" | "pull" | "fetch" | "live";

/** How the server refuses a request as a whole. */
export interface Refusal {
  /** Of `docs/ERRORS.md`; `server-error` unless said otherwise. */
  readonly code?: string;
  /** Of HTTP; 503 unless said otherwise. */
  readonly status?: number;
  readonly message?: string;
  /** What `Retry-After` says. */
  readonly retryAfterMs?: number;
}

/** The switches, of one device or of all. Those with `Next` are for one request, and count up. */
export interface Faults {
  /** No connection from now on, or one again. */
  offline(): void;
  online(): void;
  /** The next request of this kind never arrives, and the device hears that the connection broke. */
  loseNextRequest(of?: Traffic): void;
  /** The next one is carried out, and its answer is lost. */
  loseNextResponse(of?: Traffic): void;
  /** The next one arrives and is never answered, so that the device waits until its time is over. */
  hangNext(of?: Traffic): void;
  /** The next one is refused as a whole. */
  refuseNext(refusal?: Refusal, of?: Traffic): void;
  /** Everything takes so long each way from now on. */
  delay(ms: number): void;
  /** So many of the next frames arrive twice, or not at all. */
  duplicateFrames(count?: number): void;
  loseFrames(count?: number): void;
  /** The live channel breaks; the device connects again. */
  cutChannel(code?: number): void;
  /** The server takes no token any more that it gave before; `auth` is asked for another. */
  expireTokens(): void;
}

/** A fault that is due. */
export type Fault = { readonly of: Traffic } & (
  | { readonly kind: "lose-request" | "lose-response" | "hang" }
  | { readonly kind: "refuse"; readonly refusal: Refusal }
);

/** What every device has of its own. */
export class Switches implements Faults {
  isOnline = true;
  delayMs = 0;
  twice = 0;
  lost = 0;
  #next: Fault[] = [];

  /** `cut` and `expire` are done to the channels and tokens of those whom this is about. */
  constructor(
    private readonly turned: (online: boolean) => void,
    private readonly cut: (code: number) => void,
    private readonly expire: () => void,
  ) {}

  offline = (): void => this.#turn(false);
  online = (): void => this.#turn(true);
  loseNextRequest = (of: Traffic = "push"): void => void this.#next.push({ kind: "lose-request", of });
  loseNextResponse = (of: Traffic = "push"): void => void this.#next.push({ kind: "lose-response", of });
  hangNext = (of: Traffic = "push"): void => void this.#next.push({ kind: "hang", of });
  refuseNext = (refusal: Refusal = {}, of: Traffic = "push"): void =>
    void this.#next.push({ kind: "refuse", refusal, of });
  delay = (ms: number): void => void (this.delayMs = ms);
  duplicateFrames = (count = 1): void => void (this.twice += count);
  loseFrames = (count = 1): void => void (this.lost += count);
  cutChannel = (code = 1006): void => this.cut(code);
  expireTokens = (): void => this.expire();

  /** The next fault of this kind of traffic, which is then over. */
  take(of: Traffic): Fault | undefined {
    const at = this.#next.findIndex((fault) => fault.of === of);
    return at < 0 ? undefined : this.#next.splice(at, 1)[0];
  }

  /** Whether the next frame arrives twice, or never. */
  frame(): 0 | 1 | 2 {
    if (this.lost > 0) return (this.lost -= 1), 0;
    if (this.twice > 0) return (this.twice -= 1), 2;
    return 1;
  }

  #turn(online: boolean): void {
    if (this.isOnline === online) return;
    this.isOnline = online;
    this.turned(online);
  }
}
