/** Where imported rows go, and how a row of a file becomes an entity there. */
import type { z } from "zod";
import { db } from "../data/db.ts";
import { customer, customerStatuses, movie, movieFields, record } from "../data/schema.ts";
import type { RawRow } from "./parse.ts";

export const targetNames = ["customers", "movies", "records"] as const;
export type TargetName = (typeof targetNames)[number];

export interface Target {
  schema: z.ZodType;
  map(row: RawRow, n: number, source: string): unknown;
  insertMany(rows: readonly unknown[]): PromiseLike<unknown>;
  insert(row: unknown): PromiseLike<unknown>;
}

export const targets: Record<TargetName, Target> = {
  customers: {
    schema: customer,
    map: toCustomer,
    insertMany: (rows) => db.customers.insertMany(rows as z.infer<typeof customer>[]),
    insert: (row) => db.customers.insert(row as z.infer<typeof customer>),
  },
  movies: {
    schema: movie,
    map: toMovie,
    insertMany: (rows) => db.movies.insertMany(rows as z.infer<typeof movie>[]),
    insert: (row) => db.movies.insert(row as z.infer<typeof movie>),
  },
  records: {
    schema: record,
    map: (row, n, source) => ({ n, source, data: row }),
    insertMany: (rows) => db.records.insertMany(rows as z.infer<typeof record>[]),
    insert: (row) => db.records.insert(row as z.infer<typeof record>),
  },
};

/** The typed collection when the columns say so, otherwise the one that takes anything. */
export function guessTarget(rows: readonly { value: RawRow }[]): TargetName {
  const keys = new Set(rows.slice(0, 50).flatMap(({ value }) => Object.keys(value)));
  if (keys.has("Title") && [...keys].every((key) => (movieFields as string[]).includes(key))) return "movies";
  const lower = new Set([...keys].map((key) => key.toLowerCase()));
  return lower.has("name") && (lower.has("email") || lower.has("company")) ? "customers" : "records";
}

function toCustomer(row: RawRow): unknown {
  const cells = new Map(Object.entries(row).map(([key, value]) => [key.trim().toLowerCase(), value]));
  const text = (key: string) =>
    cells.get(key) === undefined || cells.get(key) === null ? "" : String(cells.get(key)).trim();
  const status = text("status").toLowerCase();
  return {
    name: text("name"),
    company: text("company"),
    email: text("email"),
    phone: text("phone"),
    city: text("city"),
    status: customerStatuses.find((known) => known === status) ?? "lead",
    calls: Number(text("calls")) || 0,
    tags: text("tags")
      .split(/[,;]/)
      .map((tag) => tag.trim())
      .filter(Boolean),
    notes: text("notes"),
  };
}

/** From JSON untouched. A CSV has only text: what reads as a plain number becomes one, an empty cell becomes null. */
function toMovie(row: RawRow): unknown {
  const isText = Object.values(row).every((value) => typeof value === "string");
  if (!isText) return row;
  const typed = Object.entries(row as Record<string, string>).map(([key, text]) => {
    if (text === "") return [key, null];
    return [key, /^-?(0|[1-9]\d{0,14})(\.\d+)?$/.test(text) ? Number(text) : text];
  });
  return Object.fromEntries(typed);
}
