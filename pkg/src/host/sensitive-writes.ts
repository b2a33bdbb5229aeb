/**
 * What writes say of sensitive fields. Not here: what becomes of them; see `sensitive.ts`.
 */
import type { WireOp } from "../wasm/wire.js";
import { drop, find, keysOf, meets, type Fields } from "./strip.js";

/** An operation as the boundary has it: documents of inserts stand beside the request. */
type Op = Exclude<WireOp, { op: "insert" }> | { readonly op: "insert"; readonly c: string; readonly count: number };
/** A write as the boundary has it. */
export type Request = { readonly ops: readonly Op[]; readonly atomic: boolean };
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

/** Whether a write would change a sensitive field. */
export function isSensitive(
  { ops }: Request,
  about: About,
  fields: Fields,
  secretOf: (collection: string, id: string) => object | undefined,
): boolean {
  const isIn = ([collection, , value]: About[number]): boolean =>
    (fields.get(collection) ?? []).some((keys) => find(value, keys) !== undefined);
  return about.some(isIn) || ops.some((op) => touches(op, fields, secretOf));
}

/** An operation that changes no sensitive field, without those that it names. */
export function plain(op: Op, fields: Fields): Op {
  if (op.op !== "replace") return op;
  for (const keys of fields.get(op.c) ?? []) drop(op.value, keys);
  return op;
}

function touches(op: Op, fields: Fields, secretOf: Parameters<typeof isSensitive>[3]): boolean {
  const paths = fields.get(op.c);
  if (paths === undefined || op.op === "delete" || op.op === "insert") return false;
  if (op.op === "patch") {
    const { set = {}, unset = [], inc = {}, add = {}, remove = {} } = op;
    const touched = [set, inc, add, remove].flatMap((part) => Object.keys(part)).concat(unset);
    return touched.map(keysOf).some((keys) => paths.some((path) => meets(keys, path)));
  }
  const secret = secretOf(op.c, op.id);
  return paths.some((keys) => !same(find(op.value, keys), find(secret, keys)));
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
