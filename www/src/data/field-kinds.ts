/** What a field of the demo is, read from its schema: how it is called, shown and edited. */
import { z } from "zod";
import type { Json } from "tidewire";
import { capital, formatMoney, formatNumber } from "../lib/format.ts";
import { tokensOf } from "../lib/pointer.ts";
import { customer, movie, proposal, record, type CollectionName } from "./schema.ts";

export type FieldKind =
  | { readonly kind: "text"; readonly long: boolean; readonly id?: CollectionName }
  | { readonly kind: "number"; readonly money: boolean }
  | { readonly kind: "choice"; readonly options: readonly string[] }
  | { readonly kind: "tags" }
  | { readonly kind: "json" };

interface Shape {
  readonly type?: string | readonly string[];
  readonly enum?: readonly string[];
  readonly items?: Shape;
  readonly properties?: { readonly [name: string]: Shape };
  readonly anyOf?: readonly Shape[];
}

const schemas: Record<string, z.ZodType> = {
  customers: customer,
  proposals: proposal,
  movies: movie,
  records: record,
};
const shapes = new Map<string, Shape>();
const labels: Record<string, string> = { "/customerId": "Customer", "/amount": "Amount in euros" };
const longTexts = new Set(["/notes"]);
const longFrom = 60;

export function fieldLabel(path: string): string {
  return labels[path] ?? capital(tokensOf(path).join(" › ").replaceAll(/([a-z])([A-Z])/g, "$1 $2"));
}

/** `values`: what the field has held; they decide where the schema allows anything. */
export function fieldKind(collection: string, path: string, values: readonly (Json | undefined)[]): FieldKind {
  const shape = shapeAt(collection, path);
  if (shape?.enum) return { kind: "choice", options: shape.enum };
  const there = values.filter((value) => value !== undefined && value !== null);
  const all = (type: string): boolean => there.length > 0 && there.every((value) => typeof value === type);
  if (shape?.type === "number" || all("number")) return { kind: "number", money: path === "/amount" };
  if (shape?.type === "array" && shape.items?.type === "string") return { kind: "tags" };
  if (isText(shape) || all("string")) {
    const long = longTexts.has(path) || there.some((value) => String(value).length > longFrom);
    const id = path === "/customerId" ? "customers" : undefined;
    return { kind: "text", long, ...(id ? { id } : {}) };
  }
  return { kind: "json" };
}

/** A value in a few words. */
export function valueWords(kind: FieldKind, value: Json | undefined): string {
  if (value === undefined) return "removed";
  if (value === null || value === "") return "empty";
  if (typeof value === "number" && kind.kind === "number")
    return kind.money ? formatMoney(value) : formatNumber(value);
  if (kind.kind === "choice" && typeof value === "string") return capital(value);
  if (Array.isArray(value) && kind.kind === "tags") return value.join(", ") || "none";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The fields of a record in the order of the schema, then those that it does not know. */
export function fieldOrder(collection: string, record: object): string[] {
  const known = Object.keys(shapeOf(collection)?.properties ?? {});
  const there = Object.keys(record);
  return [...known.filter((key) => there.includes(key)), ...there.filter((key) => !known.includes(key))];
}

function isText(shape: Shape | undefined): boolean {
  return shape?.type === "string" || shape?.anyOf?.every((one) => one.type === "string") === true;
}

function shapeAt(collection: string, path: string): Shape | undefined {
  let shape = shapeOf(collection);
  for (const token of tokensOf(path)) shape = shape?.properties?.[token];
  return shape;
}

function shapeOf(collection: string): Shape | undefined {
  const known = shapes.get(collection);
  const schema = schemas[collection];
  if (known || !schema) return known;
  const shape = z.toJSONSchema(schema) as Shape;
  shapes.set(collection, shape);
  return shape;
}
