/**
 * A pull, answered from the backend's lists: the ndjson of docs/PROTOCOL.md, one checkpoint for each page.
 *
 * The cursor is the engine's to keep: `seq` is counted here, and `mark` holds how far each list was read.
 */
import { isEqual } from "../diff/document.js";
import { isJsonObject, type Json, type JsonObject } from "../json.js";
import type { Desk } from "./desk.js";
import { changeOf, type KnownRow } from "./rows.js";
import { statusOf } from "./status.js";
import type { BackendPage, BackendPull } from "./types.js";

/** A cursor of the protocol (rules 23, 24). */
export interface Cursor {
  readonly history: string;
  readonly seq: number;
  readonly mark: string;
  readonly scope: Scope;
}

interface Scope {
  readonly groups: readonly string[];
  readonly collections: readonly string[];
  readonly policy: string;
}

/** `POST pull`, as far as it matters here. */
export interface PullRequest {
  readonly cursor?: Cursor;
  readonly collections: readonly string[];
}

/** How far each list was read; null: it is being read anew. */
type Positions = { [collection: string]: Json };

const PAGE_ROWS = 500;
const HISTORY = "backend";

/** The lines of the answer, in pieces. It throws before the first piece, or the stream is cut. */
export async function* pull(
  desk: Desk,
  { cursor, collections }: PullRequest,
  token: string | null,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const start = cursor === undefined ? {} : positionsOf(cursor);
  const from = start === undefined ? undefined : cursor;
  const scope = scopeOf(cursor, collections, start === undefined);
  const stream = new Stream(desk, from, scope, start ?? {});
  const reset = start === undefined ? { reset: true } : {};
  const { now, user } = desk.greeting();
  const settings = desk.settings();
  let text = line({ pull: { v: 1, now, user, ...(from && { after: from }), ...reset, total: 0, settings } });
  for (const collection of collections.filter(isTheirs)) {
    for await (const changes of pages(desk, stream, collection, token, signal)) {
      yield text + changes;
      text = "";
    }
  }
  yield text + stream.checkpoint([], true);
}

/** What one answer has said. */
class Stream {
  readonly positions: Positions;
  readonly #told = new Set<KnownRow>();
  readonly #from: number;
  #after: Cursor | undefined;

  constructor(
    private readonly desk: Desk,
    cursor: Cursor | undefined,
    private readonly scope: Scope,
    positions: JsonObject,
  ) {
    this.positions = { ...positions };
    this.#after = cursor;
    this.#from = cursor?.seq ?? 0;
    desk.rows.begin(this.#from);
  }

  /** Rows and where they lead. What was stored meanwhile comes too: a settled edit waits for its row. */
  checkpoint(news: readonly KnownRow[], done: boolean): string {
    const { rows } = this.desk;
    const stored = rows.above(this.#from).filter((row) => !this.#told.has(row));
    for (const row of stored) this.#told.add(row);
    const mark = JSON.stringify(this.positions);
    const cursor: Cursor = { history: HISTORY, seq: Math.max(rows.seq, this.#from), mark, scope: this.scope };
    const after = this.#after;
    this.#after = cursor;
    const lines = [...news, ...stored].map((row) => line(changeOf(row))).join("");
    return lines + line({ cursor, ...(after && { after }), done });
  }
}

/** The changes of each page of a collection. */
async function* pages(
  desk: Desk,
  stream: Stream,
  collection: string,
  token: string | null,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const { rows } = desk;
  const { positions } = stream;
  const bad = (id: unknown, why: unknown): void => desk.bad(collection, id, why);
  const seen = new Set<string>();
  const began = rows.tick();
  let since = positions[collection] ?? null;
  // Of a part of a list nobody can say what is missing in it.
  const whole = since === null;
  for (;;) {
    const started = rows.tick();
    const page = await read(desk, { collection, since, limit: PAGE_ROWS, token, signal });
    if (page === undefined) {
      // From the beginning, and what is not there any more is gone.
      positions[collection] = null;
      yield* pages(desk, stream, collection, token, signal);
      return;
    }
    for (const row of page.rows) seen.add(row.id);
    const { news, doubtful } = rows.take(collection, page.rows, started, bad);
    if (doubtful) {
      desk.again();
      yield stream.checkpoint(news, false);
      return;
    }
    const more = page.more === true;
    const next = page.next ?? since;
    if (more && isEqual(next, since)) throw new TypeError("`pull` says `more` without another `next`");
    const all = !more && whole && (page.complete === true || positions[collection] === null);
    const gone = all ? rows.gone(collection, seen, began) : [];
    const moved = advance(positions, collection, page, next);
    if (news.length + gone.length > 0 || moved) yield stream.checkpoint([...news, ...gone], false);
    if (!more) return;
    since = next;
  }
}

/** Notes how far a list was read; whether that is news. */
function advance(positions: Positions, collection: string, page: BackendPage, next: Json): boolean {
  const before = positions[collection];
  // What is read anew begins anew if it is cut.
  if (page.more === true && before === null) return false;
  if (page.complete === true || next === null) delete positions[collection];
  else positions[collection] = next;
  return !isEqual(before, positions[collection]);
}

/** A page; undefined where the backend does not know the position any more. */
async function read(desk: Desk, request: BackendPull): Promise<BackendPage | undefined> {
  try {
    return checked(await desk.read(request.signal, (signal) => desk.backend().pull({ ...request, signal })));
  } catch (error) {
    if (statusOf(error) === 410 && request.since !== null) return undefined;
    throw error;
  }
}

function checked(page: BackendPage): BackendPage {
  if (Array.isArray((page as Partial<BackendPage> | null)?.rows)) return page;
  throw new TypeError("`pull` answers with { rows: [{ id, version, value }], next, more }");
}

/** How far each list was read; undefined where this is no cursor of a backend. */
function positionsOf({ history, mark }: Cursor): JsonObject | undefined {
  if (history !== HISTORY) return undefined;
  try {
    const positions = JSON.parse(mark) as Json;
    return isJsonObject(positions) ? positions : undefined;
  } catch {
    return undefined;
  }
}

/** What begins with `$` is Tidewire's own: no backend has such a collection. */
export function isTheirs(collection: string): boolean {
  return !collection.startsWith("$");
}

/** What was read once stays: a collection that this tab does not ask for may be another one's. */
function scopeOf(cursor: Cursor | undefined, collections: readonly string[], reset: boolean): Scope {
  const before = reset ? [] : (cursor?.scope.collections ?? []);
  const policy = reset ? `after ${cursor?.scope.policy ?? ""}`.slice(0, 64) : (cursor?.scope.policy ?? HISTORY);
  return { groups: [], collections: [...new Set([...before, ...collections])].sort(), policy };
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
