/**
 * A push, carried out on the backend: decided here, stored there with compare-and-set.
 *
 * Each entity's edits go in their order, one at a time; different entities go side by side, as many as the gate lets
 * through. An answer has a verdict for what was decided; the engine sends the rest again. After a failure no further
 * call starts, and what was decided before it is answered all the same.
 */
import type { JsonObject } from "../json.js";
import {
  changedFields,
  decide,
  isVerdict,
  isWithin,
  rejected,
  stored,
  type Decided,
  type Mutation,
  type Row,
  type Verdict,
} from "./decide.js";
import type { Desk } from "./desk.js";
import { keyOf, readRow } from "./rows.js";
import { FINAL, messageOf, statusOf } from "./status.js";
import type { BackendAnswer, BackendConflict, BackendEdit, BackendRejection, BackendRow } from "./types.js";
import { nameOf, unitsOf, type Edit, type PushRequest } from "./units.js";

/** What came of a push. */
export interface Pushed {
  readonly verdicts: readonly object[];
  /** Why not everything was decided. */
  readonly failure: { readonly error: unknown } | undefined;
}

type End = "decided" | "held" | "open";

/** How often an edit that meets newer rows is decided again, before it waits a while. */
const ROUNDS_MAX = 5;
/** After so long what is decided is answered: what is durable need not be asked again. */
const PART_MS = 2_000;
/** Edits of which the answer was lost, for which it is remembered what they were to store. */
const LOST_MAX = 1_000;

const HELD: Verdict = { verdict: "held", reason: "after" };
const GIVEN_UP = rejected("transaction-failed", "another edit of the transaction was refused: see its error");

/** What was to be stored, over which revision. */
interface Sent {
  readonly value: JsonObject;
  readonly changed: JsonObject;
  readonly rev: number;
}

/** What pushes leave for later ones, by the edit's key. */
export class Memory {
  /** Edits whose answer was lost: it may be their values that stand there. */
  readonly lost = new Map<string, Sent>();
  /** Verdicts of members of a transaction that is not decided whole. */
  readonly members = new Map<string, Verdict>();
}

/** Carries a push out. */
export async function push(
  desk: Desk,
  memory: Memory,
  request: PushRequest,
  token: string | null,
  signal: AbortSignal,
): Promise<Pushed> {
  const run = new Run(desk, memory, request.replica, token, signal);
  const timer = setTimeout(() => run.hurry(), PART_MS);
  try {
    await Promise.all(unitsOf(request.mutations).map((unit) => run.take(unit)));
  } finally {
    clearTimeout(timer);
  }
  const verdicts = request.mutations.flatMap(({ n, m }) => {
    const verdict = m === undefined ? ({ verdict: "void" } as const) : run.verdicts.get(nameOf(n));
    return verdict === undefined ? [] : [{ n, ...verdict }];
  });
  return { verdicts, failure: run.failure };
}

class Run {
  readonly verdicts = new Map<string, Verdict>();
  failure: Pushed["failure"];
  /** No unit begins any more, and no edit that is alone. */
  readonly #stop = new AbortController();
  /** Nothing at all begins any more. */
  readonly #failed = new AbortController();
  /** How the last unit of each entity ended. */
  readonly #tails = new Map<string, Promise<End>>();
  #hurried = false;

  constructor(
    private readonly desk: Desk,
    private readonly memory: Memory,
    private readonly replica: string,
    private readonly token: string | null,
    private readonly signal: AbortSignal,
  ) {
    const { gate } = desk;
    for (const { signal } of [this.#stop, this.#failed]) signal.addEventListener("abort", () => gate.sweep());
    if (signal.aborted) this.#end();
    signal.addEventListener("abort", () => this.#end(), { signal: this.#failed.signal });
  }

  /** No call starts any more, once there is something to answer with. */
  hurry(): void {
    this.#hurried = true;
    if (this.verdicts.size > 0) this.#stop.abort();
  }

  /** Carries a unit out after those that touch the same entities. */
  take(unit: readonly Edit[]): Promise<End> {
    const keys = unit.map(({ m }) => keyOf(m.c, m.id));
    const before = Promise.all(keys.map((key) => this.#tails.get(key)));
    const end = before.then((ends) => {
      if (ends.includes("open")) return "open";
      return ends.includes("held") ? this.#hold(unit) : this.#carryOut(unit);
    });
    for (const key of keys) this.#tails.set(key, end);
    return end;
  }

  async #carryOut(unit: readonly Edit[]): Promise<End> {
    if (this.#stop.signal.aborted) return "open";
    const [only] = unit as readonly [Edit];
    if (unit.length > 1) return this.desk.backend().pushAll === undefined ? this.#together(unit) : this.#whole(unit);
    const verdict = await this.#one(only, this.#stop.signal);
    if (verdict === undefined) return "open";
    this.#decided(only, verdict);
    return verdict.verdict === "held" ? "held" : "decided";
  }

  /** A transaction, one member after the other. The engine takes all of their verdicts or none (rule 11). */
  async #together(unit: readonly Edit[]): Promise<End> {
    const { members } = this.memory;
    let refused = false;
    for (const edit of unit) {
      const key = this.#keyOf(edit);
      const known: Verdict | undefined = refused ? GIVEN_UP : members.get(key);
      const verdict: Verdict | undefined = known ?? (await this.#one(edit, this.#failed.signal));
      if (verdict === undefined) return "open";
      if (verdict.verdict === "held") return this.#hold(unit);
      members.set(key, verdict);
      refused ||= verdict.verdict === "rejected";
    }
    for (const edit of unit) {
      this.#decided(edit, members.get(this.#keyOf(edit)) as Verdict);
      members.delete(this.#keyOf(edit));
    }
    return "decided";
  }

  /** A transaction on a backend that stores all of it or nothing. */
  #whole(unit: readonly Edit[]): Promise<End> {
    // In one order, or two transactions could wait for each other.
    const keys = [...new Map(unit.map(({ m }) => [keyOf(m.c, m.id), m]))].sort(([a], [b]) => (a < b ? -1 : 1));
    const within = (at: number): Promise<End> => {
      const m = keys[at]?.[1];
      return m === undefined ? this.#rounds(unit) : this.desk.rows.alone(m.c, m.id, () => within(at + 1));
    };
    return within(0);
  }

  async #rounds(unit: readonly Edit[]): Promise<End> {
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      const steps = this.#plan(unit);
      const no = steps.find(({ decided }) => isVerdict(decided) && ["rejected", "held"].includes(decided.verdict));
      if (no !== undefined) return this.#refuse(unit, no.edit, no.decided as Verdict);
      const by = round === 0 ? this.replica : undefined;
      const tries = steps.flatMap((step) => (isVerdict(step.decided) ? [] : [{ ...step, by } as Try]));
      const answers = tries.length === 0 ? [] : await this.#callAll(tries.map(({ call }) => call));
      if (answers === undefined) return "open";
      const refused = answers.findIndex((answer) => answer.rejected !== undefined);
      if (refused >= 0) {
        const why = rejectedBy(answers[refused] as BackendRejection);
        return this.#refuse(unit, (tries[refused] as Try).edit, why);
      }
      const conflicts = answers.filter((answer) => answer.conflict !== undefined).length;
      const ends = answers.map((answer, at) =>
        conflicts > 0 && answer.conflict === undefined ? undefined : this.#take(tries[at] as Try, answer),
      );
      if (ends.some((end) => end === undefined || end.verdict === "held")) continue;
      tries.forEach(({ edit }, at) => this.#decided(edit, ends[at] as Verdict));
      for (const { edit, decided } of steps) if (isVerdict(decided)) this.#decided(edit, decided);
      for (const { call } of tries) this.memory.lost.delete(call.key);
      return "decided";
    }
    return this.#hold(unit);
  }

  /** What each member comes to on what those before it leave. */
  #plan(unit: readonly Edit[]): readonly (Omit<Try, "decided" | "by"> & { readonly decided: Decided | Verdict })[] {
    const left = new Map<string, Row>();
    return unit.map((edit) => {
      const { c, id } = edit.m;
      const stands = this.desk.rows.newest(c, id);
      const row = left.get(keyOf(c, id)) ?? stands;
      const decided = this.#decide(edit, row);
      if (isVerdict(decided)) return { edit, row, decided, call: undefined as never };
      const version = stands?.version;
      const deleted = decided.kind === "delete";
      left.set(keyOf(c, id), { rev: row?.rev ?? 0, updatedAt: row?.updatedAt, version, value: decided.value, deleted });
      return { edit, row, decided, call: this.#edit(edit, decided, row) };
    });
  }

  /** One member held or rejected makes all so (rule 11). */
  #refuse(unit: readonly Edit[], edit: Edit, verdict: Verdict): End {
    if (verdict.verdict === "held") return this.#hold(unit);
    for (const other of unit) this.#decided(other, other === edit ? verdict : GIVEN_UP);
    return "decided";
  }

  #end(): void {
    this.#stop.abort();
    this.#failed.abort();
  }

  #keyOf({ n }: Edit): string {
    return `${this.replica}.${nameOf(n)}`;
  }

  #decided({ n }: Edit, verdict: Verdict): void {
    this.verdicts.set(nameOf(n), verdict);
    if (this.#hurried) this.#stop.abort();
  }

  #hold(unit: readonly Edit[]): End {
    for (const edit of unit) this.#decided(edit, HELD);
    return "held";
  }

  /** One edit; undefined where nothing was decided. */
  #one(edit: Edit, stop: AbortSignal): Promise<Verdict | undefined> {
    const { c, id } = edit.m;
    return this.desk.rows.alone(c, id, async () => {
      for (let round = 0; round < ROUNDS_MAX; round += 1) {
        const row = this.desk.rows.newest(c, id);
        const decided = this.#decide(edit, row);
        if (isVerdict(decided)) return decided;
        const call = this.#edit(edit, decided, row);
        const answer = await this.#call(call, stop);
        if (answer === undefined) return undefined;
        const verdict = this.#take({ edit, row, decided, call, by: round === 0 ? this.replica : undefined }, answer);
        if (verdict === undefined) continue;
        this.memory.lost.delete(call.key);
        return verdict;
      }
      return HELD;
    });
  }

  async #call(edit: Call, stop: AbortSignal): Promise<BackendAnswer | undefined> {
    const answers = await this.#through(stop, [edit], async (signal) => [
      await this.desk.backend().push({ ...edit, signal }),
    ]);
    return answers?.[0];
  }

  #callAll(edits: readonly Call[]): Promise<readonly BackendAnswer[] | undefined> {
    return this.#through(this.#failed.signal, edits, async (signal) => {
      const answers = await this.desk.backend().pushAll?.(edits.map((edit) => ({ ...edit, signal })));
      if (answers?.length === edits.length) return answers;
      throw new TypeError("`pushAll` answers with one answer for each edit");
    });
  }

  /** A call through the gate; undefined where it did not start, or failed in a way that is nobody's fault. */
  async #through(
    stop: AbortSignal,
    edits: readonly Call[],
    work: (signal: AbortSignal) => Promise<readonly BackendAnswer[]>,
  ): Promise<readonly BackendAnswer[] | undefined> {
    try {
      const done = await this.desk.gate.run("write", stop, async () => ({
        answers: await this.desk.timed(this.signal, work),
      }));
      return done?.answers;
    } catch (error) {
      const status = statusOf(error);
      const code = FINAL.get(status ?? 0);
      if (code !== undefined) return [{ rejected: { code, message: messageOf(error) } }];
      const [only, ...others] = edits;
      const gone = (status === 404 || status === 410) && others.length === 0 && only?.kind !== "insert";
      if (gone) return [{ conflict: null }];
      // Whether it was stored, nobody knows.
      if (status === undefined || status >= 500) for (const edit of edits) this.#remember(edit);
      this.failure ??= { error };
      this.#end();
      return undefined;
    }
  }

  #remember({ key, value, changed, collection, id }: Call): void {
    const rev = this.desk.rows.newest(collection, id)?.rev ?? 0;
    this.memory.lost.set(key, { value, changed, rev });
    if (this.memory.lost.size > LOST_MAX) this.memory.lost.delete(this.memory.lost.keys().next().value as string);
  }

  #edit(edit: Edit, { kind, value }: Decided, row: Row | undefined): Call {
    const { replica, token } = this;
    const { n, m } = edit;
    const stands = row === undefined || row.deleted ? {} : row.value;
    const changed = kind === "delete" ? {} : changedFields(stands, value);
    const ifVersion = kind === "insert" || row?.version === undefined ? {} : { ifVersion: row.version };
    const key = this.#keyOf(edit);
    return { collection: m.c, id: m.id, kind, value, changed, ...ifVersion, key, replica, n, token };
  }

  #decide(edit: Edit, row: Row | undefined): Decided | Verdict {
    const sent = this.memory.lost.get(this.#keyOf(edit));
    // A pull has brought what an answer that was lost would have said.
    if (sent !== undefined && row !== undefined && row.rev > sent.rev && isThere(sent, row))
      return { verdict: "applied", rev: row.rev };
    return decide(edit.m, this.#asked(edit.m, row), this.desk.settings()[edit.m.c] ?? {});
  }

  /** Whether an insert is its own second try, a backend that remembers knows better than the row that stands there. */
  #asked(m: Mutation, row: Row | undefined): Row | undefined {
    return m.kind === "insert" && this.desk.backend().remembers === true ? undefined : row;
  }

  /** What an answer means; undefined: decide again. */
  #take(asked: Try, answer: BackendAnswer): Verdict | undefined {
    if (answer.rejected !== undefined) return rejectedBy(answer);
    if (answer.conflict !== undefined) return this.#meet(asked, answer);
    const { rows } = this.desk;
    const { edit, decided, call, by } = asked;
    const { c, id } = edit.m;
    const { version, updatedAt } = answer;
    const given = answer.value === undefined ? [] : readRow(c, { id, value: answer.value }, this.#bad(c));
    const value = given[0]?.value ?? call.value;
    if (rows.versioned && version === undefined && call.kind !== "delete") {
      // Stored, but at which version? Sent once more it meets itself, and is told.
      this.#remember({ ...call, value });
      return undefined;
    }
    const deleted = call.kind === "delete" || answer.deleted === true;
    const { rev } = rows.put({ c, id, value, deleted, version, updatedAt, by });
    return stored(decided, rev);
  }

  /** Another version stands there. It may be this very edit, of which the answer was lost. */
  #meet({ edit, row, decided, call }: Try, { conflict }: BackendConflict): Verdict | undefined {
    const { c, id } = edit.m;
    const now = this.#current(c, id, conflict, row);
    if (now === undefined) return HELD;
    const { rev } = this.desk.rows.put({ c, id, ...now });
    if (now.deleted) return call.kind === "delete" ? stored(decided, rev) : undefined;
    const sent = this.memory.lost.get(call.key);
    const stands = isThere(sent ?? call, now);
    const ours = call.kind === "insert" ? sent !== undefined || stands : sent !== undefined && stands;
    return ours ? stored(decided, rev) : undefined;
  }

  /** What stands there by a conflict's answer. */
  #current(c: string, id: string, given: BackendRow | null, row: Row | undefined): Omit<Row, "rev"> | undefined {
    const gone = { value: row?.value ?? {}, deleted: true };
    if (given === null) return gone;
    const [read] = readRow(c, { ...given, id }, this.#bad(c));
    return read?.deleted === true ? { ...read, ...gone } : read;
  }

  #bad(collection: string): (id: unknown, why: unknown) => void {
    return (id, why) => this.desk.bad(collection, id, why);
  }
}

/** An edit as it is sent, but for the signal of its call. */
type Call = Omit<BackendEdit, "signal">;

/** One call for an edit, and what it was decided on. */
interface Try {
  readonly edit: Edit;
  readonly row: Row | undefined;
  readonly decided: Decided;
  readonly call: Call;
  /** Whose edit it is, if nothing else is new in the row. */
  readonly by: string | undefined;
}

/** Whether what was sent is what stands there. */
function isThere({ value, changed }: Omit<Sent, "rev">, { deleted, value: now }: Omit<Row, "rev">): boolean {
  const gone = Object.entries(changed).filter(([, field]) => field === null);
  return !deleted && isWithin(value, now) && gone.every(([key]) => (now[key] ?? null) === null);
}

function rejectedBy({ rejected: { code, message, path } }: BackendRejection): Verdict {
  return rejected(code, message, path);
}
