/**
 * `Write`: what every edit returns. It resolves when the edit is durable on this device, online or not; the network is
 * only waited for by `server()`.
 */
import { time } from "./env.js";
import { abortedError, TidewireError } from "./errors.js";
import type { Verdict } from "./events.js";
import type { Session } from "./session.js";
import type { SyncView } from "./status.js";
import { Submission, type MakeRequest } from "./writes.js";

/** How long to wait, and until when. */
export interface WaitOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

/** An edit on its way. */
export interface Write<R = void> extends PromiseLike<R> {
  /** The id of the entity (of the first one, where there are several), there before any await. */
  readonly id: string;
  /**
   * What the server decided. Of several edits: the first verdict that is not `applied`, else the last one. Where
   * nothing was left to change it is `void`, and nobody is asked. Rejects `offline` when there is no connection,
   * `timeout` when there is no answer in time; the edit stays queued.
   */
  server(options?: WaitOptions): Promise<Verdict>;
  /** Takes the edit back, as a new edit. */
  undo(): Write;
  catch<E>(onRejected: (error: TidewireError) => E | PromiseLike<E>): Promise<R | E>;
  finally(fn: () => void): Promise<R>;
}

const TIMEOUT_MS = 10_000;

/** Sends a request on its way, when `ready` has resolved. `result` is asked when it is durable. */
export function startWrite<R>(
  session: Session,
  id: string,
  make: MakeRequest,
  result: () => R,
  ready?: Promise<unknown>,
): Write<R> {
  const submission = new Submission(make);
  const submit = (): void => session.writes.submit(submission);
  if (ready === undefined) submit();
  else ready.then(submit, submission.reject);
  return new PendingWrite(session, id, submission, result);
}

/** A write that was refused before it began. */
export function refusedWrite<R>(session: Session, id: string, error: TidewireError): Write<R> {
  const refuse = (): never => {
    throw error;
  };
  return startWrite<R>(session, id, refuse, refuse);
}

class PendingWrite<R> implements Write<R> {
  readonly #promise: Promise<R>;

  constructor(
    private readonly session: Session,
    readonly id: string,
    private readonly submission: Submission,
    result: () => R,
  ) {
    this.#promise = submission.durable.then(result);
  }

  then<A = R, B = never>(
    onDurable?: ((value: R) => A | PromiseLike<A>) | null,
    onRefused?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#promise.then(onDurable, onRefused);
  }

  catch<E>(onRejected: (error: TidewireError) => E | PromiseLike<E>): Promise<R | E> {
    return this.#promise.catch(onRejected);
  }

  finally(fn: () => void): Promise<R> {
    return this.#promise.finally(fn);
  }

  async server(options: WaitOptions = {}): Promise<Verdict> {
    const { submission, session } = this;
    this.#promise.catch(() => undefined);
    return waitFor(session, withTimeout(session, options), (settle) => {
      const look = (): void => {
        const verdict = decided(submission);
        if (verdict !== undefined) settle.resolve(verdict);
        else if (submission.lost !== undefined) settle.reject(submission.lost);
      };
      if (session.config.url !== null) look();
      submission.durable.then(look, settle.reject);
      return submission.onVerdict(look);
    });
  }

  undo(): Write {
    const { submission, session } = this;
    const undoing = new Submission(() => {
      if (submission.number === undefined && submission.expected === 0) return undefined;
      if (submission.number === undefined || !session.writes.knows(submission)) {
        throw new TidewireError(
          "internal",
          "The core was restarted; undo it with an edit of your own.",
          { retryable: false },
        );
      }
      return { undo: submission.number };
    });
    submission.durable.then(
      () => session.writes.submit(undoing),
      (error: TidewireError) => undoing.reject(error),
    );
    return new PendingWrite<void>(session, this.id, undoing, () => undefined);
  }
}

function decided(submission: Submission): Verdict | undefined {
  const verdicts = Array.from({ length: submission.expected }, (_, index) => submission.verdicts.get(index));
  if (verdicts.length === 0) return submission.isNothing ? { verdict: "void" } : undefined;
  if (verdicts.some((verdict) => verdict === undefined || verdict.verdict === "held")) return undefined;
  return verdicts.find((verdict) => verdict?.verdict !== "applied") ?? verdicts.at(-1);
}

/** The options with the time that a request may take, where they name none. */
export function withTimeout(session: Session, options: WaitOptions): WaitOptions {
  const usual = (session.config["timeoutMs"] as number | undefined) ?? TIMEOUT_MS;
  return { ...options, timeoutMs: options.timeoutMs ?? usual };
}

interface Settle<T> {
  resolve(value: T): void;
  reject(error: TidewireError): void;
  over(): boolean;
}

/** Begins to wait, and returns what ends it. */
type Begin<T> = (settle: Settle<T>) => () => void;

/** Waits until `begin` settles, the signal aborts, or the time is over. */
export function waitWithin<T>({ signal, timeoutMs }: WaitOptions, begin: Begin<T>): Promise<T> {
  if (signal?.aborted === true) return Promise.reject(abortedError(signal));
  return new Promise<T>((resolve, reject) => {
    const ends: (() => void)[] = [];
    let over = false;
    const finish = (settle: () => void): void => {
      if (over) return;
      over = true;
      for (const end of ends) end();
      settle();
    };
    const settle: Settle<T> = {
      resolve: (value) => finish(() => resolve(value)),
      reject: (error) => finish(() => reject(error)),
      over: () => over,
    };
    const abort = (): void => settle.reject(abortedError(signal as AbortSignal));
    signal?.addEventListener("abort", abort);
    ends.push(() => signal?.removeEventListener("abort", abort));
    if (timeoutMs !== undefined) {
      const timer = time.after(
        () => settle.reject(new TidewireError("timeout", `No answer within ${timeoutMs} ms; edits stay queued.`)),
        timeoutMs,
      );
      ends.push(() => time.cancel(timer));
    }
    ends.push(begin(settle));
    if (over) for (const end of ends) end();
  });
}

/**
 * Waits for the server: as `waitWithin`, and no longer than until the status says that there is no connection. Used by
 * everything whose name says that it awaits the network.
 */
export function waitFor<T>(session: Session, options: WaitOptions, begin: Begin<T>): Promise<T> {
  return waitWithin(options, (settle) => {
    const refusal = session.refusal();
    if (refusal !== undefined) return (settle.reject(refusal), () => undefined);
    const end = begin(settle);
    if (settle.over()) return end;
    const unwatch = session.status.watch((status) => refuseUnconnected(status, settle), "sync", settle.reject);
    return () => (end(), unwatch());
  });
}

function refuseUnconnected(status: SyncView, settle: Settle<never>): void {
  if (status.state === "local") {
    settle.reject(new TidewireError("offline", "This database has no `url`: it is local only.", { retryable: false }));
  } else if (status.state === "offline") {
    settle.reject(
      new TidewireError(
        "offline",
        "There is no connection to the server; edits stay queued and are sent when it is back.",
      ),
    );
  } else if (status.state === "paused") {
    settle.reject(
      new TidewireError("paused", `Syncing is paused (${status.reason ?? "by the app"}); edits stay queued.`),
    );
  }
}
