/** How an entity is called. One that is deleted has no name any more, unless a row of it is at hand. */
import { formatNumber } from "../lib/format.ts";
import { db } from "./db.ts";

interface Fields {
  readonly [field: string]: unknown;
}

export function entityName(collection: string, id: string, known?: object): string | undefined {
  const name = nameIn(collection, (known ?? rowOf(collection, id)) as Fields | undefined);
  return name === undefined || name === null || name === "" ? undefined : String(name);
}

function rowOf(collection: string, id: string): object | undefined {
  switch (collection) {
    case "customers":
      return db.customers.peek(id);
    case "proposals":
      return db.proposals.peek(id);
    case "movies":
      return db.movies.peek(id);
    case "records":
      return db.records.peek(id);
    default:
      return undefined;
  }
}

function nameIn(collection: string, row: Fields | undefined): unknown {
  switch (collection) {
    case "customers":
      return row?.["name"];
    case "proposals":
      return row?.["title"];
    case "movies":
      return row?.["Title"];
    default:
      return typeof row?.["n"] === "number" ? `Row ${formatNumber(row["n"])}` : undefined;
  }
}
