/**
 * What writes say of sensitive fields. Not here: what becomes of them; see `sensitive-guard.ts`.
 */
import { overlaps, placeOf } from "../path.js";
import type { AnyRow } from "../rows.js";
import type { WireOp } from "../wasm/wire.js";
import type { Fields } from "./strip.js";

/**
 * An operation as the boundary has it: documents of inserts stand beside the request, and in collections with sensitive
 * fields a whole row comes as a patch of what it changes (`known.ts`).
 */
type Op = Exclude<WireOp, { op: "insert" | "replace" }> | Insert;
type Insert = { readonly op: "insert"; readonly c: string; readonly count: number };
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

/** Whether a write would change a sensitive field. Throws where it may take one along that is not known here. */
export function isSensitive({ ops }: Request, about: About, fields: Fields, rowOf: RowOf): boolean {
  const isIn = ([collection, , value]: About[number]): boolean =>
    (fields.get(collection) ?? []).some((path) => placeOf(value, path) !== undefined);
  // Each of them is looked at.
  return ops.map((op) => touches(op, fields.get(op.c) ?? [], rowOf)).includes(true) || about.some(isIn);
}

/** The error of what is refused here. */
export function refusal(code: string, hint: string): Error {
  return Object.assign(new Error(hint), { code, hint, retryable: code === "sensitive-offline" });
}

function touches(op: Op, paths: readonly string[], rowOf: RowOf): boolean {
  if (op.op !== "patch") return false;
  const { set = {}, unset = [], inc = {}, add = {}, remove = {} } = op;
  const pointers = [set, inc, add, remove].flatMap((part) => Object.keys(part)).concat(unset);
  const touched = pointers.flatMap((at) => paths.flatMap((path) => (overlaps(at, path) ? [[at, path] as const] : [])));
  if (touched.length === 0) return false;
  const row = rowOf(op.c, op.id);
  const takes = ([at, path]: readonly [string, string]): boolean => at !== path && path.startsWith(`${at}/`);
  if (row?.$missing !== undefined && touched.some(takes)) throw refusal("sensitive-offline", MISSING);
  // What only this device knows has no such field but those that the write names.
  const isNew = row === undefined || row.$rev === 0;
  const names = ([at, path]: readonly [string, string]): boolean =>
    !takes([at, path]) || placeOf(set[at], path.slice(at.length)) !== undefined;
  return touched.some((one) => !isNew || names(one));
}
