/**
 * What is read of a client, for a database with sensitive fields. Not here: what becomes of it; see
 * `sensitive-guard.ts`.
 */
import { overlaps, placeOf, pointerKeys } from "../path.js";
import type { MutationName, WireClient, WireConflict, WireQuery } from "../wasm/wire.js";
import { drop, find, put, type Fields } from "./strip.js";

/** Where syncing stands. */
interface Status {
  readonly state: string;
  readonly reason?: string;
  readonly retryAt?: number;
  readonly loaded: readonly string[];
}

/** An entry of the queue. */
export interface Entry {
  readonly n: MutationName;
  readonly write: number | null;
  readonly collection: string;
  readonly status: string;
}

interface Command {
  readonly do: string;
  readonly n?: MutationName;
  readonly set?: object;
  readonly unset?: readonly string[];
}

/** What a client says of a write. */
export interface Said {
  readonly type: string;
  readonly write: number;
  readonly [detail: string]: unknown;
}

/** What the server says of an edit. */
export interface Verdict {
  readonly verdict: string;
  readonly rev?: number;
  readonly [detail: string]: unknown;
}

/** A row as a client gives it. */
export type Row = Record<string, unknown>;

/** Where syncing stands. */
export function statusOf(client: WireClient): Status {
  return JSON.parse(client.view("status")) as Status;
}

/** Whether it has no connection, and does not just try to get one. */
export function isCut(client: WireClient): boolean {
  const { state, retryAt } = statusOf(client);
  return ["local", "offline", "paused"].includes(state) || (state === "connecting" && retryAt !== undefined);
}

/** Whether the app has paused it. */
export function pausedByApp(client: WireClient): boolean {
  const { state, reason } = statusOf(client);
  return state === "paused" && reason === "user";
}

/** Whether a row, as text, is as new as another one; both may be gone. */
export function isAsNew(row: string | undefined, other: string | undefined): boolean {
  if (row === undefined || other === undefined) return row === other;
  const [rev, otherRev] = [row, other].map((text) => (JSON.parse(text) as { readonly $rev: number }).$rev);
  return (rev as number) >= (otherRev as number);
}

/** What waits for the server, and what it refused. */
export function queueOf(client: WireClient): readonly Entry[] {
  const { pending, failed } = JSON.parse(client.view("queue")) as { [state: string]: Entry[] };
  return [...(pending ?? []), ...(failed ?? [])];
}

/** Whether a query names a sensitive field. */
export function asksFor(request: string, fields: Fields): boolean {
  // Of an answer that is kept there is no more than its handle.
  const { c = "", where, orderBy = [], fold = [], groupBy } = JSON.parse(request) as Partial<WireQuery>;
  const ordered = orderBy.map(([path]) => path);
  return isAbout([...ordered, ...pathsOf(where), ...fold.slice(1), groupBy ?? []].flat(), fields, c);
}

/** Whether a command edits a sensitive field of what waits in the queue. */
export function editsSecret(request: string, client: WireClient, fields: Fields): boolean {
  const { n, set = {}, unset = [] } = JSON.parse(request) as Command;
  const touched = [...Object.keys(set), ...unset];
  const entry = touched.length > 0 ? queueOf(client).find((one) => `${one.n}` === `${n}`) : undefined;
  return isAbout(touched, fields, entry?.collection ?? "");
}

/** Whether a command is the one to sync now. */
export function isNow(request: string): boolean {
  return (JSON.parse(request) as Command).do === "now";
}

/** Whether one of these pointers leads to a sensitive field of a collection, or into one. */
function isAbout(pointers: readonly string[], fields: Fields, collection: string): boolean {
  const paths = fields.get(collection) ?? [];
  return pointers.some((pointer) => paths.some((path) => overlaps(pointer, path)));
}

/** The pointers in a filter. */
function pathsOf(where: unknown): string[] {
  if (Array.isArray(where)) return where.flatMap(pathsOf);
  if (typeof where !== "object" || where === null) return [];
  const { path, ...inner } = where as { readonly path?: unknown; readonly [key: string]: unknown };
  if (typeof path === "string") return [path];
  return Object.values(inner).flatMap(pathsOf);
}

/** A row with what is not stored of it, or with the names of that. */
export function wholeRow(row: Row, secret: object | undefined, paths: readonly string[]): Row {
  // It may be there from before the field was sensitive.
  for (const path of paths) drop(row, path);
  // What only this device knows has no such fields yet.
  if (secret === undefined && row["$rev"] === 0) return row;
  if (secret === undefined) return { ...row, $missing: paths.map((path) => pointerKeys(path).join(".")) };
  for (const path of paths) {
    const place = placeOf(secret, path);
    if (place !== undefined) put(row, place, find(secret, place));
  }
  return row;
}

/** The conflicts of `main`; those about sensitive fields as `aside` has them, and none that it does not have. */
export function withValues(main: string, aside: string, fields: Fields): string {
  const known = new Map((JSON.parse(aside) as WireConflict[]).map((one) => [one.id, one]));
  const shown = (one: WireConflict): WireConflict | undefined => {
    if (!isAbout([one.path], fields, one.c)) return one;
    const whole = known.get(one.id);
    // Each of the two is a replica of its own.
    return whole && { ...whole, own: whole.own || one.own };
  };
  return JSON.stringify((JSON.parse(main) as WireConflict[]).map(shown).filter((one) => one !== undefined));
}
