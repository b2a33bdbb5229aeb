/** Operators: what a patch can do to a field beside replacing its value. Frozen data, typed by the field they fit. */

declare const KIND: unique symbol;

/** An edit of one field. */
export interface Operator<
  K extends "inc" | "add" | "remove" | "set" | "unset" = "inc" | "add" | "remove" | "set" | "unset",
  V = unknown,
> {
  readonly op: K;
  readonly value: V;
  readonly [KIND]: K;
}

class Edit {
  constructor(
    readonly op: string,
    readonly value: unknown,
  ) {
    Object.freeze(this);
  }
}

/** Adds to a number. Increments of several devices add up. */
export function inc(by: number): Operator<"inc", number> {
  return edit("inc", by);
}

/** Puts values into an array that has not got them. */
export function add<const V>(...values: readonly V[]): Operator<"add", readonly V[]> {
  return edit("add", values);
}

/** Takes values out of an array. */
export function remove<const V>(...values: readonly V[]): Operator<"remove", readonly V[]> {
  return edit("remove", values);
}

/** Replaces the value; the same as the plain value. */
export function set<const V>(value: V): Operator<"set", V> {
  return edit("set", value);
}

/** Removes the field; the same as `undefined`. */
export function unset(): Operator<"unset", undefined> {
  return edit("unset", undefined);
}

/** Whether a value in a patch is an operator. */
export function isOperator(value: unknown): value is Operator {
  return value instanceof Edit;
}

function edit<K extends Operator["op"], V>(op: K, value: V): Operator<K, V> {
  return new Edit(op, value) as unknown as Operator<K, V>;
}
