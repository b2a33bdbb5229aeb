/** What a push holds, and what may be decided of it together. */
import type { Mutation } from "./decide.js";

/** A mutation's number. */
export type Name = readonly [number, number];

/** One mutation of a push. */
export interface PushItem {
  readonly n: Name;
  readonly tx?: Name;
  /** Absent in a void. */
  readonly m?: Mutation;
}

/** `POST push`, as far as it matters here. */
export interface PushRequest {
  readonly replica: string;
  readonly mutations: readonly PushItem[];
}

/** One that is no void. */
export type Edit = PushItem & { readonly m: Mutation };

/** Members of a transaction together, everything else alone. */
export function unitsOf(items: readonly PushItem[]): readonly (readonly Edit[])[] {
  const units = new Map<string, Edit[]>();
  for (const item of items) {
    if (item.m === undefined) continue;
    const name = nameOf(item.tx ?? item.n);
    units.set(name, [...(units.get(name) ?? []), item as Edit]);
  }
  return [...units.values()];
}

/** A number as a text. */
export function nameOf([key, index]: Name): string {
  return `${key}.${index}`;
}
