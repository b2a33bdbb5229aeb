/**
 * What it takes to take a write back, in a database with sensitive fields. Not here: how it is sent; see
 * `sensitive-guard.ts`.
 *
 * `main` can take back all of its writes but a delete: the document that it would insert again lacks the fields. So
 * they are remembered here, in memory, as they were shown when the entity was deleted.
 */
import { placeOf } from "../path.js";
import { entityOf, type AnyRow } from "../rows.js";
import { refusal, type About, type Request, type RowOf } from "./sensitive-writes.js";
import type { Fields } from "./strip.js";

/** Deleted entities with their documents; undefined where these were not known, or it was not all that was done. */
type Deleted = readonly (readonly [collection: string, id: string, value: object])[] | undefined;

/** Writes of which that much is remembered. */
const REMEMBERED_MAX = 1_000;
const UNKNOWN =
  "This delete cannot be taken back: its sensitive fields are not known here any more, or it was one of several " +
  "edits of one write. Insert the entity anew.";

/** What `main` was told to delete, by the numbers of its writes. */
export class Deletes {
  readonly #writes = new Map<number, Deleted>();

  constructor(private readonly fields: Fields) {}

  /** What a write deletes, before it does; undefined: nothing that has sensitive fields. */
  of({ ops }: Request, rowOf: RowOf): { readonly values: Deleted } | undefined {
    const deletes = ops.flatMap((op) => (op.op === "delete" && this.fields.has(op.c) ? [op] : []));
    const rows = deletes.map(({ c, id }) => [c, id, rowOf(c, id)] as const);
    const isIn = (c: string, row: AnyRow | undefined): boolean =>
      (this.fields.get(c) ?? []).some((path) => placeOf(row, path) !== undefined);
    const hasSome = rows.some(([c, , row]) => row?.$missing !== undefined || isIn(c, row));
    // What has none `main` inserts again as it was.
    if (!hasSome) return undefined;
    if (deletes.length < ops.length || rows.some(([, , row]) => row?.$missing !== undefined))
      return { values: undefined };
    return { values: rows.flatMap(([c, id, row]) => (row === undefined ? [] : [[c, id, entityOf(row)] as const])) };
  }

  /** `main` has taken it. */
  keep(write: number | undefined, { values }: { readonly values: Deleted }): void {
    if (write === undefined) return;
    this.#writes.set(write, values);
    // Of older ones it is still known that they cannot be taken back.
    const oldest = [...this.#writes.keys()].at(-REMEMBERED_MAX - 1);
    if (oldest !== undefined) this.#writes.set(oldest, undefined);
  }

  /** What brings back what a write deleted; undefined: `main` can. */
  inverse(write: number): { readonly about: About; readonly request: string; readonly lines: string } | undefined {
    if (!this.#writes.has(write)) return undefined;
    const about = this.#writes.get(write);
    if (about === undefined) throw refusal("bad-mutation", UNKNOWN);
    const ops = about.map(([c]) => ({ op: "insert", c, count: 1 }));
    const lines = about.map(([, id, value]) => JSON.stringify(id) + JSON.stringify(value)).join("\n");
    return { about, request: JSON.stringify({ ops, atomic: false }), lines };
  }
}
