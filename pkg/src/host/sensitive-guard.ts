/**
 * A client whose store never holds a sensitive field.
 *
 * ```text
 * app ─► Guard ─► main: everything but the sensitive fields, stored on the disk
 *             └─► aside: the collections with such fields as the server has them, in memory, in this tab alone
 * ```
 *
 * Reads are those of `main` with the fields of `aside` put in. A write that touches one goes to `aside` as a whole, and
 * is durable when the server has it; all others go to `main`. `aside` is an engine like the other, so retries, merges
 * and verdicts are those of every write.
 *
 * The invariants: `main` is given no sensitive value, from neither side; and what is refused here left nothing behind
 * but what may already have been sent.
 */
import { time } from "../env.js";
import { isTrap } from "../errors.js";
import type { AnyRow } from "../rows.js";
import type { MutationName, WireClient, WireHost, WireQuery } from "../wasm/wire.js";
import { asksFor, editsSecret, isAsNew, isCut, isNow, pausedByApp, queueOf, statusOf } from "./sensitive-reads.js";
import { wholeRow, withValues, type Entry, type Row, type Said, type Verdict } from "./sensitive-reads.js";
import { Deletes } from "./sensitive-undo.js";
import { isSensitive, refusal, targets, type About, type Request } from "./sensitive-writes.js";
import type { Fields } from "./strip.js";

type Accepted = { readonly write?: number; readonly count?: number };

/** A write of `aside` that the app waits for. */
interface Sent {
  readonly number: number;
  readonly about: About;
  /** What `aside` calls it, once it has taken it. */
  name: number;
  /** How many verdicts there will be; known once `aside` has taken it. */
  count: number;
  readonly verdicts: Map<number, Verdict>;
  done(): void;
  timer?: ReturnType<typeof setTimeout>;
}

/** Writes of `aside` that can be taken back. */
const UNDO_MAX = 1_000;
/** Why not. */
const SENT = "The connection was lost before the server answered: it may still get there while this page is open.";
const OFFLINE = "A sensitive field is not stored on this device: it can only be written while connected.";
const UNKNOWN = "A sensitive field can be written when the server has the entity: wait until it is synced.";

/** See the module's text. */
export class Guard implements WireClient {
  #main!: WireClient;
  #aside!: WireClient;
  #letGo: (() => void) | undefined;
  /** By the numbers of `aside`; the app's are below zero. */
  readonly #sent = new Map<number, Sent>();
  /** What the writes of `aside` are called there, and what they are about: for undo. */
  readonly #done = new Map<number, { readonly name: number; readonly about: About }>();
  readonly #deletes: Deletes;
  readonly #waiting = new Set<() => void>();
  #count = 0;
  #isOpen = false;
  #closed = false;
  #isPaused = false;

  constructor(
    private readonly fields: Fields,
    private readonly owner: WireHost,
    /** Resolves when all of the module is there, which writes of `aside` need. */
    private readonly whole: () => Promise<void>,
    private readonly timeoutMs: number,
  ) {
    this.#deletes = new Deletes(fields);
  }

  take(main: WireClient, aside: WireClient, over: () => void): void {
    this.#main = main;
    this.#aside = aside;
    this.#letGo = over;
  }

  async open(): Promise<string> {
    try {
      const [opened] = await Promise.all([this.#main.open(), this.#aside.open()]);
      this.#isOpen = true;
      this.#follow();
      return opened;
    } catch (error) {
      this.over();
      void Promise.allSettled([this.#main.close(), this.#aside.erase()]);
      throw error;
    }
  }

  write(request: string, lines: string): string {
    const asked = JSON.parse(request) as Request;
    if (!asked.ops.some((op) => this.fields.has(op.c))) return this.#main.write(request, lines);
    const about = targets(asked, lines);
    const rowOf = (collection: string, id: string): AnyRow | undefined => this.#shownRow(collection, id);
    if (!isSensitive(asked, about, this.fields, rowOf)) {
      const deletes = this.#deletes.of(asked, rowOf);
      const answer = this.#main.write(request, lines);
      if (deletes !== undefined) this.#deletes.keep((JSON.parse(answer) as Accepted).write, deletes);
      return answer;
    }
    if (!asked.ops.every((op) => this.fields.has(op.c))) {
      throw refusal("bad-mutation", "A write with sensitive fields is about collections that have such fields only.");
    }
    const { ops, atomic } = asked;
    return this.#begin(about, () => this.#aside.write(JSON.stringify({ ops, atomic }), lines));
  }

  undo(write: number): string {
    if (write >= 0) return this.#undoStored(write);
    const { name, about } = this.#done.get(write) ?? { name: 0, about: [] };
    return this.#begin(about, () => this.#aside.undo(name));
  }

  row(collection: string, id: string): string | undefined {
    const text = this.#main.row(collection, id);
    const paths = this.fields.get(collection);
    if (text === undefined || paths === undefined) return text;
    return JSON.stringify(this.#whole(collection, JSON.parse(text) as Row & { readonly id: string }, paths));
  }

  want(collection: string, id: string): void {
    // What is not stored is put in when both are open.
    if (!this.fields.has(collection || (JSON.parse(id) as WireQuery).c)) this.#main.want(collection, id);
  }

  rows(collection: string, ids: string): string {
    const text = this.#main.rows(collection, ids);
    const paths = this.fields.get(collection);
    if (paths === undefined) return text;
    const rows = JSON.parse(text) as ((Row & { readonly id: string }) | null)[];
    return JSON.stringify(rows.map((row) => row && this.#whole(collection, row, paths)));
  }

  query(request: string): string {
    if (asksFor(request, this.fields)) {
      throw refusal("bad-query", "A sensitive field cannot be asked for: it is not stored on this device.");
    }
    return this.#main.query(request);
  }

  view(what: Parameters<WireClient["view"]>[0]): string {
    const text = this.#main.view(what);
    return what === "conflicts" ? withValues(text, this.#aside.view(what), this.fields) : text;
  }

  command(request: string): string {
    // An edit of what waits in the queue, which is stored.
    if (editsSecret(request, this.#main, this.fields)) throw refusal("sensitive-offline", OFFLINE);
    const answer = this.#main.command(request);
    if (isNow(request)) this.#aside.command(request);
    this.#follow();
    return answer;
  }

  exportData(): string {
    return this.#main.exportData();
  }

  keep(): void {
    this.#main.keep();
  }

  async close(): Promise<void> {
    this.over();
    await Promise.all([this.#main.close(), this.#aside.erase()]);
  }

  async erase(): Promise<void> {
    this.over();
    await Promise.all([this.#main.erase(), this.#aside.erase()]);
  }

  /** One of the two was closed, or the module has trapped: neither is touched again. */
  over(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#letGo?.();
    for (const sent of this.#sent.values()) time.cancel(sent.timer);
    this.look();
  }

  /** What `main` says. */
  told(json: string): void {
    this.owner.event(json);
    if (json.includes('"status"')) this.#watch(() => this.#follow());
    this.look();
  }

  /** What `aside` says. */
  heard(json: string): void {
    this.#watch(() => {
      const passed: Said[] = [];
      for (const event of JSON.parse(json) as Said[]) {
        const sent = this.#sent.get(event.write);
        if (event.type === "changed" && this.fields.has(event["collection"] as string)) passed.push(event);
        // It says itself that it cannot go on.
        else if (event.type === "watchdog" && event["code"] === "internal") passed.push(event);
        else if (event.type === "verdict") sent?.verdicts.set(event["index"] as number, event["verdict"] as Verdict);
        else if (event.type === "write-failed" && sent) this.#refuse(sent, event["error"] as object);
        sent?.done();
      }
      if (passed.length > 0) this.owner.event(JSON.stringify(passed));
    });
    this.look();
  }

  /** Something changed that somebody may wait for. */
  look(): void {
    for (const look of [...this.#waiting]) look();
  }

  /** `aside` rests while `main` was told to, in this tab or another. */
  #follow(): void {
    const isPaused = this.#isOpen && pausedByApp(this.#main);
    if (isPaused === this.#isPaused) return;
    this.#isPaused = isPaused;
    const command = JSON.stringify({ do: isPaused ? "pause" : "resume" });
    // Commands are in the module's second part.
    this.whole().then(
      () => this.#watch(() => this.#aside.command(command)),
      () => (this.#isPaused = !isPaused),
    );
  }

  #shownRow(collection: string, id: string): AnyRow | undefined {
    const text = this.row(collection, id);
    return text === undefined ? undefined : (JSON.parse(text) as AnyRow);
  }

  #whole(collection: string, row: Row & { readonly id: string }, paths: readonly string[]): Row {
    return wholeRow(row, this.#secret(collection, row.id), paths);
  }

  #secret(collection: string, id: string): object | undefined {
    const text = this.#closed ? undefined : this.#aside.row(collection, id);
    return text === undefined ? undefined : (JSON.parse(text) as object);
  }

  /** A delete is taken back with what was not stored of the entity, and when the server and `aside` have seen it. */
  #undoStored(write: number): string {
    const inverse = this.#deletes.inverse(write);
    if (inverse === undefined) return this.#main.undo(write);
    const { about, request, lines } = inverse;
    const isOver = (): boolean =>
      queueOf(this.#main).every((entry) => entry.write !== write) &&
      about.every(([collection, id]) => this.#aside.row(collection, id) === undefined);
    return this.#begin(about, () => this.#aside.write(request, lines), isOver);
  }

  /** Gives a write a number at once, and sends it when the server can be reached. */
  #begin(about: About, write: () => string, mayBegin?: () => boolean): string {
    const number = -(this.#count += 1);
    void this.#send(number, about, write, mayBegin);
    return JSON.stringify({ write: number });
  }

  async #send(number: number, about: About, write: () => string, mayBegin = () => true): Promise<void> {
    const sent: Sent = { number, about, name: 0, count: 0, verdicts: new Map(), done: () => this.#look(sent) };
    try {
      await this.#reachable(about, mayBegin);
      const { write: name, count = 1 } = JSON.parse(write()) as Accepted;
      if (name === undefined) return this.#say({ type: "durable", write: number, count: 0 });
      Object.assign(sent, { name, count });
      this.#sent.set(name, sent);
      // What is too old for that the core forgets, too.
      if (this.#done.size >= UNDO_MAX) this.#done.delete(this.#done.keys().next().value as number);
      this.#done.set(number, { name, about: about.map(([collection, id]) => [collection, id]) });
      sent.timer = time.after(() => this.#watch(() => this.#unanswered(sent)), this.timeoutMs);
    } catch (thrown) {
      if (isTrap(thrown)) return this.#trapped();
      const { code, message, retryable } = thrown as { code?: string; message: string; retryable?: boolean };
      const unknown = code === "not-found" || code === undefined;
      this.#refuse(sent, unknown ? refusal("sensitive-offline", UNKNOWN) : { code, message, retryable });
    }
  }

  /** Waits until the server was reached and has told everything; rejects when there is no connection. */
  async #reachable(about: About, mayBegin: () => boolean): Promise<void> {
    const isLoaded = ([collection]: About[number]): boolean => statusOf(this.#aside).loaded.includes(collection);
    let isWhole: boolean | undefined;
    const loading = this.whole().then(
      () => (isWhole = true),
      () => (isWhole = false),
    );
    void loading.then(() => this.look());
    await this.#until(() => isWhole !== undefined);
    if (this.#closed || isWhole !== true) throw refusal("sensitive-offline", OFFLINE);
    // It may wait for its next try although the connection is back.
    if (isCut(this.#aside) && !pausedByApp(this.#main)) this.#aside.command('{"do":"now"}');
    const isReady = (): boolean => !this.#isCut() && !isCut(this.#aside) && about.every(isLoaded) && mayBegin();
    await this.#until(() => this.#isCut() || isReady());
    if (this.#closed || !isReady()) throw refusal("sensitive-offline", OFFLINE);
  }

  /** Until something is so, or this is closed, or for as long as one request may take. */
  #until(isSo: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        this.#waiting.delete(look);
        time.cancel(timer);
        resolve();
      };
      const look = (): void => (this.#closed ? end() : this.#watch(() => void (isSo() && end())));
      const timer = time.after(end, this.timeoutMs);
      this.#waiting.add(look);
      // Not before the app knows the number of its write.
      queueMicrotask(look);
    });
  }

  #isCut(): boolean {
    return pausedByApp(this.#main) || (isCut(this.#aside) && isCut(this.#main));
  }

  /** Whether a write is decided; says so when `main` shows it, too. */
  #look(sent: Sent): void {
    const { count, verdicts, number } = sent;
    const decided = [...verdicts].filter(([, { verdict }]) => verdict !== "held");
    if (decided.length < count) return;
    const rejected = decided.filter(([, { verdict }]) => verdict === "rejected");
    if (rejected[0] !== undefined && rejected.length === count) return this.#refuse(sent, rejected[0][1]);
    // Of several edits the others are on the server; what was refused is not kept.
    if (rejected.length > 0)
      for (const { n, status } of this.#queued(sent.name)) if (status === "failed") this.#discard(n);
    this.#forget(sent);
    void this.#until(() => this.#isShown(sent)).then(() => {
      this.#say({ type: "durable", write: number, count });
      for (const [index, verdict] of decided) this.#say({ type: "verdict", write: number, index, verdict });
    });
  }

  /** Whether `aside` has read it back, and `main` has read as much. */
  #isShown({ name, about }: Sent): boolean {
    if (this.#queued(name).length > 0) return false;
    return about.every(([collection, id]) => isAsNew(this.#main.row(collection, id), this.#aside.row(collection, id)));
  }

  #unanswered(sent: Sent): void {
    const unsent = this.#queued(sent.name).every(({ status }) => status === "queued" || status === "writing");
    this.#refuse(sent, refusal("sensitive-offline", unsent ? OFFLINE : SENT));
  }

  #refuse(sent: Sent, error: object): void {
    if (this.#closed) return;
    for (const { n } of this.#queued(sent.name)) this.#discard(n);
    this.#forget(sent);
    this.#say({ type: "write-failed", write: sent.number, error });
  }

  /** What `aside` has of a write, waiting or refused. */
  #queued(name: number): readonly Entry[] {
    return name === 0 ? [] : queueOf(this.#aside).filter(({ write }) => write === name);
  }

  /** What was not sent yet never is; what was refused is not kept. */
  #discard(n: MutationName): void {
    try {
      this.#aside.command(JSON.stringify({ do: "discard", n }));
    } catch (error) {
      // It is on its way.
      if (isTrap(error)) throw error;
    }
  }

  #forget(sent: Sent): void {
    time.cancel(sent.timer);
    this.#sent.delete(sent.name);
  }

  /** Runs what no call of the app does. */
  #watch(work: () => void): void {
    if (this.#closed) return;
    try {
      work();
    } catch (error) {
      if (!isTrap(error)) throw error;
      this.#trapped();
    }
  }

  /** What the module itself would say: a fresh instance takes the place of this one. */
  #trapped(): void {
    this.#say({ type: "watchdog", code: "internal", message: "The core failed." });
    this.over();
  }

  #say(event: object): void {
    if (!this.#closed) this.owner.event(JSON.stringify([event]));
  }
}
