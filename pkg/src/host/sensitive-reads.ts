/**
 * What is read of a client, for a database with sensitive fields. Not here: what becomes of it; see `sensitive.ts`.
 */
import type { MutationName, WireClient, WireConflict } from "../wasm/wire.js";
import { find, keysOf, meets, put, type Fields, type Keys } from "./strip.js";

/** Where syncing stands. */
interface Status {
  readonly state: string;
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

/** What waits for the server, and what it refused. */
export function queueOf(client: WireClient): readonly Entry[] {
  const { pending, failed } = JSON.parse(client.view("queue")) as { [state: string]: Entry[] };
  return [...(pending ?? []), ...(failed ?? [])];
}

/** The pointers in a filter. */
export function pathsOf(where: unknown): string[] {
  if (Array.isArray(where)) return where.flatMap(pathsOf);
  if (typeof where !== "object" || where === null) return [];
  const { path, ...inner } = where as { readonly path?: unknown; readonly [key: string]: unknown };
  if (typeof path === "string") return [path];
  return Object.values(inner).flatMap(pathsOf);
}

/** A row with what is not stored of it, or with the names of that. */
export function wholeRow(row: Row, secret: object | undefined, paths: readonly Keys[]): Row {
  // What only this device knows has no such fields yet.
  if (secret === undefined && row["$rev"] === 0) return row;
  if (secret === undefined) return { ...row, $missing: paths.map((keys) => keys.join(".")) };
  for (const keys of paths) put(row, keys, find(secret, keys));
  return row;
}

/** The conflicts of `main`; those about sensitive fields as `aside` has them, and none that it does not have. */
export function withValues(main: string, aside: string, fields: Fields): string {
  const known = new Map((JSON.parse(aside) as WireConflict[]).map((one) => [one.id, one]));
  const shown = (one: WireConflict): WireConflict | undefined => {
    const [at, paths] = [keysOf(one.path), fields.get(one.c) ?? []];
    if (!paths.some((keys) => meets(at, keys))) return one;
    const whole = known.get(one.id);
    // Each of the two is a replica of its own.
    return whole && { ...whole, own: whole.own || one.own };
  };
  return JSON.stringify((JSON.parse(main) as WireConflict[]).map(shown).filter((one) => one !== undefined));
}
