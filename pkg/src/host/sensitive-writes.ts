/**
 * What writes say of sensitive fields. Not here: what becomes of them; see `sensitive-guard.ts`.
 */
import { changedKeys } from "../intents.js";
import { canonicalJson, type Json, type JsonObject } from "../json.js";
import { overlaps, readPointer } from "../path.js";
import { entityOf, type AnyRow } from "../rows.js";
import type { WireOp } from "../wasm/wire.js";
import { find, type Fields } from "./strip.js";

/** An operation as the boundary has it: documents of inserts stand beside the request. */
type Op = Exclude<WireOp, { op: "insert" }> | { readonly op: "insert"; readonly c: string; readonly count: number };
/** A write as the boundary has it. */
export type Request = { readonly ops: readonly Op[]; readonly atomic: boolean };
const MISSING = "It would remove sensitive fields that are not fetched yet: wait until the row has no `$missing`.";

/** Entities, those of inserts with their documents. */
export type About = readonly (readonly [collection: string, id: string, value?: object])[];

/** What a write is about. */
export function targets({ ops }: Request, lines: string): About {
  const inserts = lines.split("\n").values();
  return ops.flatMap((op): About => {
    if (op.op !== "insert") return [[op.c, op.id]];
    return Array.from({ length: op.count }, () => {
      const line = inserts.next().value as string;
      const id = /^"(?:[^"\\]|\\.)*"/u.exec(line)?.[0] as string;
      return [op.c, JSON.parse(id) as string, JSON.parse(line.slice(id.length)) as object];
    });
  });
}

/** The rows as the app sees them. */
export type RowOf = (collection: string, id: string) => AnyRow | undefined;
type Replace = Op & { readonly op: "replace" };

/** Whether a write would change a sensitive field. */
export function isSensitive({ ops }: Request, about: About, fields: Fields, rowOf: RowOf): boolean {
  const isIn = ([collection, , value]: About[number]): boolean =>
    (fields.get(collection) ?? []).some((path) => find(value, path) !== undefined);
  return about.some(isIn) || ops.some((op) => touches(op, fields.get(op.c), rowOf));
}

/**
 * An operation as it is sent: of a whole row what it changes of the row as it was shown, so that nothing is taken
 * back that came meanwhile or was not shown. Throws where a field may go that is not known here.
 */
export function sent(op: Op, fields: Fields, rowOf: RowOf): Op {
  const paths = fields.get(op.c);
  const row = op.op === "replace" && paths ? rowOf(op.c, op.id) : undefined;
  // Of a row that the same write makes all is known.
  if (op.op !== "replace" || row === undefined) return op;
  if (losesUnknown(op, row, paths ?? [])) throw refusal("sensitive-offline", MISSING);
  const { c, id, value, ifRev } = op;
  const values = changes(op, row).map((path) => [path, readPointer(value, path)] as const);
  return {
    ...{ op: "patch", c, id, ...(ifRev === undefined ? {} : { ifRev }) },
    set: Object.fromEntries(values.filter((entry): entry is readonly [string, Json] => entry[1] !== undefined)),
    unset: values.flatMap(([path, value]) => (value === undefined ? [path] : [])),
  };
}

/** The error of what is refused here. */
export function refusal(code: string, hint: string): Error {
  return Object.assign(new Error(hint), { code, hint, retryable: code === "sensitive-offline" });
}

function touches(op: Op, paths: readonly string[] | undefined, rowOf: RowOf): boolean {
  if (paths === undefined || op.op === "delete" || op.op === "insert") return false;
  if (op.op === "patch") {
    const { set = {}, unset = [], inc = {}, add = {}, remove = {} } = op;
    const touched = [set, inc, add, remove].flatMap((part) => Object.keys(part)).concat(unset);
    return touched.some((pointer) => paths.some((path) => overlaps(pointer, path)));
  }
  const row = rowOf(op.c, op.id);
  return paths.some((path) => !same(find(op.value, path), find(row, path))) || losesUnknown(op, row, paths);
}

/** Whether it drops an object in which there may be a field that was not fetched yet. */
function losesUnknown(op: Replace, row: AnyRow | undefined, paths: readonly string[]): boolean {
  if (row?.$missing === undefined) return false;
  const dropped = changes(op, row).filter((at) => find(row, at) !== undefined);
  return dropped.some((at) => paths.some((path) => path.startsWith(`${at}/`)));
}

/** The pointers at which it changes the row. */
function changes({ value }: Replace, row: JsonObject): readonly string[] {
  return changedKeys(entityOf(row), value);
}

function same(a: unknown, b: unknown): boolean {
  return canonicalJson(a as Json) === canonicalJson(b as Json);
}
