/**
 * Rows together with the rows that they refer to, or that refer to them.
 *
 * Invariant: a row with its included rows is the same object until one of them changes.
 */
import { Kept } from "./kept.js";
import { sameItems } from "./live.js";
import { readPointer } from "./path.js";
import type { Include } from "./refs.js";
import type { AnyRow } from "./rows.js";
import type { Session } from "./session.js";
import { topics } from "./topics.js";
import { inList } from "./where.js";

type Included = AnyRow | null | readonly AnyRow[];

/** One include, over all rows of a result at once. */
interface Side {
  /** What belongs to a row, for rows of this result. */
  of(rows: readonly AnyRow[], watched: boolean): (row: AnyRow) => Included;
  release(): void;
}

interface Joined {
  readonly row: AnyRow;
  readonly values: readonly Included[];
  readonly joined: AnyRow;
}

/** The includes of one query. */
export class Join {
  readonly topics: readonly string[];
  readonly #sides: readonly Side[];
  #known = new Map<string, Joined>();

  constructor(
    session: Session,
    private readonly includes: readonly Include[],
  ) {
    this.topics = includes.map(({ to }) => topics.collection(to));
    this.#sides = includes.map((include) => (include.many ? new Many(session, include) : new One(session, include)));
  }

  /** The rows with what is included. */
  of(rows: readonly AnyRow[], watched: boolean): readonly AnyRow[] {
    if (this.#sides.length === 0) return rows;
    const sides = this.#sides.map((side) => side.of(rows, watched));
    const fresh = new Map<string, Joined>();
    for (const row of rows) {
      const values = sides.map((of) => of(row));
      const old = this.#known.get(row.id);
      fresh.set(row.id, old?.row === row && sameItems(old.values, values) ? old : this.#join(row, values));
    }
    this.#known = fresh;
    return Object.freeze([...fresh.values()].map(({ joined }) => joined));
  }

  release(): void {
    for (const side of this.#sides) side.release();
  }

  #join(row: AnyRow, values: readonly Included[]): Joined {
    const included = Object.fromEntries(this.includes.map(({ name }, index) => [name, values[index]]));
    return { row, values, joined: Object.freeze({ ...row, ...included }) as AnyRow };
  }
}

/** The one that a row refers to. */
class One implements Side {
  constructor(
    private readonly session: Session,
    private readonly include: Include,
  ) {}

  of(rows: readonly AnyRow[]): (row: AnyRow) => AnyRow | null {
    const { to, path } = this.include;
    const idOf = (row: AnyRow): string => String(readPointer(row, path) ?? "");
    const ids = [...new Set(rows.map(idOf))].filter((id) => id !== "");
    const list = this.session.rows.list(to, ids);
    const found = new Map(ids.map((id, index) => [id, list[index]]));
    return (row) => found.get(idOf(row)) ?? null;
  }

  release(): void {}
}

/** All that refer to a row, in the order of their ids. */
class Many implements Side {
  #ids: readonly string[] = [];
  #kept: Kept<AnyRow> | undefined;
  #lists = new Map<string, readonly AnyRow[]>();

  constructor(
    private readonly session: Session,
    private readonly include: Include,
  ) {}

  of(rows: readonly AnyRow[], watched: boolean): (row: AnyRow) => readonly AnyRow[] {
    const { to, path } = this.include;
    const ids = rows.map(({ id }) => id).sort();
    if (this.#kept === undefined || !sameItems(this.#ids, ids)) {
      this.release();
      this.#ids = ids;
      this.#kept = new Kept<AnyRow>(this.session, { c: to, where: inList(path, ids) }, (names) =>
        this.session.rows.list(to, names as readonly string[]),
      );
    }
    const lists = new Map<string, AnyRow[]>(ids.map((id) => [id, []]));
    for (const row of this.#kept.read(watched).items) lists.get(String(readPointer(row, path)))?.push(row);
    const old = this.#lists;
    this.#lists = new Map(
      [...lists].map(([id, list]) => {
        const known = old.get(id);
        return [id, known !== undefined && sameItems(known, list) ? known : Object.freeze(list)];
      }),
    );
    return ({ id }) => this.#lists.get(id) ?? [];
  }

  release(): void {
    this.#kept?.release();
    this.#kept = undefined;
  }
}
