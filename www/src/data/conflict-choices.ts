/** What a person decides about a conflict, field by field, and the record that follows from it. */
import type { Json } from "tidewire";
import { valueAt, withValue, type JsonObject } from "../lib/pointer.ts";
import type { Conflict, ConflictField } from "tidewire";

/** Of one field. `problem`: what is typed is no value yet. */
export type Choice =
  | { readonly from: "mine" }
  | { readonly from: "theirs" }
  | { readonly from: "edit"; readonly value: Json | undefined; readonly problem?: string };

/** By path. A field without a choice keeps mine: that is what its author sees. */
export type Choices = { readonly [path: string]: Choice };

const mine: Choice = { from: "mine" };

export function choiceOf(choices: Choices, path: string): Choice {
  return choices[path] ?? mine;
}

export function chosenValue(field: ConflictField, choice: Choice): Json | undefined {
  return choice.from === "edit" ? choice.value : field[choice.from];
}

/** The whole record as the choices make it, without its id and what Tidewire knows about it. */
export function mergedRecord(conflict: Conflict, choices: Choices): JsonObject {
  let record = withoutMeta(conflict.theirs ?? conflict.mine ?? {});
  // What is inside of another field comes after it.
  for (const field of [...conflict.fields].sort((a, b) => a.path.length - b.path.length)) {
    record = withValue(record, field.path, chosenValue(field, choiceOf(choices, field.path)));
  }
  return record;
}

/** What the choices come to: plain mine or theirs where all fields agree. */
export function verdictOf(conflict: Conflict, choices: Choices): "mine" | "theirs" | JsonObject {
  const made = conflict.fields.map((field) => choiceOf(choices, field.path).from);
  if (made.every((from) => from === "mine")) return "mine";
  if (made.every((from) => from === "theirs")) return "theirs";
  return mergedRecord(conflict, choices);
}

/** The first field whose edit is no value yet. */
export function problemIn(conflict: Conflict, choices: Choices): { path: string; text: string } | undefined {
  for (const { path } of conflict.fields) {
    const choice = choiceOf(choices, path);
    if (choice.from === "edit" && choice.problem !== undefined) return { path, text: choice.problem };
  }
  return undefined;
}

/** Where the value of a top field of the merged record is from; undefined where nobody disagreed. */
export function sourceOf(conflict: Conflict, choices: Choices, key: string): Choice["from"] | "both" | undefined {
  const inside = conflict.fields.filter(({ path }) => isWithin(path, key));
  const sources = new Set(inside.map(({ path }) => choiceOf(choices, path).from));
  return sources.size > 1 ? "both" : [...sources][0];
}

export function fieldNow(row: JsonObject | undefined, path: string): Json | undefined {
  return row && valueAt(row, path);
}

function isWithin(path: string, key: string): boolean {
  const top = `/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
  return path === top || path.startsWith(`${top}/`);
}

function withoutMeta(row: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(row).filter(([key]) => key !== "id" && !key.startsWith("$")));
}
