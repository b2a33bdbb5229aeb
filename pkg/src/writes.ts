/**
 * The lane that all writes of a database take. A write is accepted at once, even before the store is open; its inputs
 * are kept until they are durable, so that a trap of the wasm instance loses none.
 *
 * Invariant: a write is given to a fresh instance again only if it was not stored. Each write has a number of this
 * lane's, the log keeps the newest that was stored, and a tab appends its writes in order: so what is stored of them is
 * a beginning.
 */
import { isTrap, TidewireError, toTidewireError, type ErrorDetails } from "./errors.js";
import type { Verdict } from "./events.js";
import type { Session } from "./session.js";
import type { WireClient, WireError, WireOp } from "./wasm/wire.js";

/** What a write asks for: edits, the inverse of an earlier write, or a command that makes a mutation. */
export type Request =
  | { readonly ops: readonly WireOp[]; readonly atomic: boolean }
  | { readonly undo: number }
  | { readonly command: string };

/** What the core says of a write: its number, if there was anything to write, and of how many edits it is. */
interface Accepted {
  readonly write?: number;
  readonly count?: number;
}

/** Makes the request when the store is open. `undefined`: nothing to do. */
export type MakeRequest = () => Request | undefined;

/** One write on its way. */
export class Submission {
  readonly durable: Promise<void>;
  readonly verdicts = new Map<number, Verdict>();
  /** How many verdicts there will be; known once the request is made. */
  expected = 0;
  number: number | undefined;
  request: Request | undefined;
  attempts = 0;
  /** Its number among the writes of its lane, once it was given to an instance. */
  call = 0;
  /** Which instance `number` belongs to. */
  epoch = -1;
  /** Set when no verdict can come any more. */
  lost: TidewireError | undefined;
  readonly #listeners = new Set<() => void>();
  #stored = false;
  resolve!: () => void;
  reject!: (error: TidewireError) => void;

  constructor(readonly make: MakeRequest) {
    this.durable = new Promise<void>((resolve, reject) => {
      this.resolve = () => ((this.#stored = true), resolve());
      this.reject = reject;
    });
  }

  /** It was taken, and there was nothing to change. */
  get isNothing(): boolean {
    return this.expected === 0 && this.lost === undefined && (this.#stored || this.number !== undefined);
  }

  /** Calls back when a verdict came, or none will. */
  onVerdict(fn: () => void): () => void {
    this.#listeners.add(fn);
    return () => this.#listeners.delete(fn);
  }

  tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** Writes whose verdict somebody may still ask for; beyond this, those that nobody holds are dropped. */
const AWAITING_SWEEP = 1_000;

/** See the module's text. */
export class WriteLane {
  #waiting: Submission[] = [];
  readonly #unstored = new Map<number, Submission>();
  readonly #awaiting = new Map<number, WeakRef<Submission>>();
  #replay: Submission[] = [];
  /** Who asks: other tabs have numbers of their own. */
  readonly #asker = Math.floor(Math.random() * 2 ** 52);
  #calls = 0;
  #epoch = 0;
  #sweepAt = AWAITING_SWEEP;

  constructor(private readonly session: Session) {}

  /** Takes a write. Never throws: what goes wrong rejects it. */
  submit(submission: Submission): void {
    const refusal = this.session.refusal();
    if (refusal !== undefined) submission.reject(refusal);
    else if (this.session.ready) this.#run(submission);
    else {
      this.#waiting.push(submission);
      this.session.start(true);
    }
  }

  /** The store is open, perhaps again. */
  opened(): void {
    const replay = this.#replay;
    const stored = replay.length > 0 ? this.#newestStored() : 0;
    this.#replay = [];
    for (const submission of replay) {
      if (submission.call <= stored) submission.resolve();
      else this.#give(submission);
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const submission of waiting) this.submit(submission);
  }

  /** The instance is gone: what it had not stored is for the next one. */
  trapped(): void {
    this.#epoch += 1;
    for (const submission of this.#unstored.values()) {
      // What a number or a queue name meant is not known to the next instance; edits are.
      // Nor is what came of a write of sensitive fields, which has a number below zero.
      const { request, number = 0 } = submission;
      if (request !== undefined && "ops" in request && number >= 0) this.#replay.push(submission);
      else
        submission.reject(
          new TidewireError(
            "internal",
            "The core was restarted; look at db.sync.queue and try again.",
          ),
        );
    }
    this.#unstored.clear();
    this.#noVerdicts(
      new TidewireError(
        "internal",
        "The core was restarted; look at db.sync.queue for the verdict.",
      ),
    );
  }

  /** Whether a write is on its way into the store. */
  get busy(): boolean {
    return this.#waiting.length + this.#unstored.size + this.#replay.length > 0;
  }

  /** Waits for the writes that are on their way now, however they end. */
  async settled(): Promise<void> {
    const all = [...this.#waiting, ...this.#unstored.values(), ...this.#replay];
    await Promise.allSettled(all.map((submission) => submission.durable));
  }

  /** The store that comes next is another user's: numbers and names of this one mean nothing there. */
  left(): void {
    this.#epoch += 1;
    this.#noVerdicts(
      new TidewireError("closed", "The user signed out before the server's verdict was known; the edit stays queued."),
    );
  }

  #noVerdicts(error: TidewireError): void {
    for (const ref of this.#awaiting.values()) {
      const submission = ref.deref();
      if (submission === undefined) continue;
      submission.lost = error;
      submission.tell();
    }
    this.#awaiting.clear();
  }

  failed(error: TidewireError): void {
    for (const submission of [...this.#replay, ...this.#waiting]) submission.reject(error);
    this.#replay = [];
    this.#waiting = [];
  }

  close(error: TidewireError): void {
    this.#epoch += 1;
    for (const submission of this.#unstored.values()) submission.reject(error);
    this.#unstored.clear();
    this.#noVerdicts(error);
    this.failed(error);
  }

  /** Whether the number of a write still means that write. */
  knows(submission: Submission): boolean {
    return submission.epoch === this.#epoch;
  }

  /** It is stored. Where it was not known before of how many edits it is, it is now. */
  durable(number: number, count: number | undefined): void {
    const submission = this.#unstored.get(number);
    this.#unstored.delete(number);
    if (submission !== undefined) submission.expected = count ?? submission.expected;
    submission?.resolve();
  }

  refused(number: number, error: WireError): void {
    const submission = this.#unstored.get(number);
    this.#unstored.delete(number);
    submission?.reject(toTidewireError(error));
  }

  verdict(number: number, index: number, verdict: Verdict): void {
    const submission = this.#awaiting.get(number)?.deref();
    if (submission === undefined) return;
    submission.verdicts.set(index, verdict);
    if (submission.verdicts.size >= submission.expected && [...submission.verdicts.values()].every(isFinal))
      this.#awaiting.delete(number);
    submission.tell();
  }

  #run(submission: Submission): void {
    try {
      submission.request = submission.make();
    } catch (error) {
      submission.reject(toTidewireError(error));
      return;
    }
    const { request } = submission;
    if (request === undefined || ("ops" in request && request.ops.length === 0)) submission.resolve();
    else if ("ops" in request || this.session.factory?.isWhole === true) this.#give(submission);
    else void this.#waitForMore(submission);
  }

  /** Commands are in the module's second part, which may not be there yet. */
  async #waitForMore(submission: Submission): Promise<void> {
    this.#waiting.push(submission);
    const failure = await this.session.whenWhole().catch(toTidewireError);
    const at = this.#waiting.indexOf(submission);
    // Who is not there any more was taken by a store that opened anew.
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    if (failure === undefined) this.submit(submission);
    else submission.reject(failure);
  }

  #give(submission: Submission): void {
    const request = submission.request as Request;
    submission.attempts += 1;
    submission.call ||= this.#calls += 1;
    try {
      const answer = this.session.call((client) => send(client, request, [this.#asker, submission.call]));
      this.#accepted(submission, request, JSON.parse(answer) as Accepted);
    } catch (thrown) {
      const error = toTidewireError(thrown, aboutOf(request));
      if (isTrap(error.cause) && submission.attempts < 2) this.#replay.push(submission);
      else submission.reject(error);
    }
  }

  #accepted(submission: Submission, request: Request, answer: Accepted): void {
    // Nothing was left to write.
    if (answer.write === undefined) return submission.resolve();
    submission.number = answer.write;
    submission.epoch = this.#epoch;
    submission.expected = answer.count ?? 1;
    this.#unstored.set(answer.write, submission);
    if (this.session.config.url !== null) this.#await(answer.write, submission);
    if (!("ops" in request)) return;
    const changes = new Map<string, Set<string>>();
    for (const op of request.ops) {
      const ids = changes.get(op.c) ?? new Set();
      for (const id of idsOf(op)) ids.add(id);
      changes.set(op.c, ids);
    }
    this.session.touchRows(changes, true);
  }

  #await(number: number, submission: Submission): void {
    this.#awaiting.set(number, new WeakRef(submission));
    if (this.#awaiting.size < this.#sweepAt) return;
    for (const [key, ref] of this.#awaiting) if (ref.deref() === undefined) this.#awaiting.delete(key);
    this.#sweepAt = Math.max(AWAITING_SWEEP, this.#awaiting.size * 2);
  }

  /** The newest write of this lane that is in the log, also where the instance that wrote it could not say so. */
  #newestStored(): number {
    const calls = JSON.parse(this.session.call((client) => client.view("calls"))) as [number, number][];
    return calls.find(([asker]) => asker === this.#asker)?.[1] ?? 0;
  }
}

function send(client: WireClient, request: Request, call: readonly [number, number]): string {
  if ("ops" in request) {
    // Documents stand beside the request, so that the core reads them once and as they are.
    const ops = request.ops.map((op) => (op.op === "insert" ? { op: op.op, c: op.c, count: op.ids.length } : op));
    const lines = request.ops.flatMap((op) => (op.op === "insert" ? op.lines : []));
    return client.write(JSON.stringify({ ...request, ops, call }), lines.join("\n"));
  }
  return "undo" in request ? client.undo(request.undo) : client.command(request.command);
}

/** What an error of this request is about, where that is one entity. */
function aboutOf(request: Request): ErrorDetails {
  const [op, another] = "ops" in request ? request.ops : [];
  if (op === undefined || another !== undefined) return {};
  const [id, more] = idsOf(op);
  return id !== undefined && more === undefined ? { collection: op.c, id } : {};
}

function idsOf(op: WireOp): readonly string[] {
  return op.op === "insert" ? op.ids : [op.id];
}

function isFinal(verdict: Verdict): boolean {
  return verdict.verdict !== "held";
}
