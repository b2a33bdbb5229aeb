/**
 * Three-way merge of a document, by the rules and with the answers of the core's `merge`: `theirs` is what the server
 * has, `mine` is what arrives, and both began at `base`.
 *
 * Invariant: **no value is lost silently.** Each value of mine is in the result, or equal to what is there, or in
 * `overwritten`; each value of theirs that gave way to mine is in `displaced`.
 */
import { TidewireError } from "../errors.js";
import { isJsonObject, type Json, type JsonObject } from "../json.js";
import { overlaps, toPointer } from "../path.js";
import type { Strategy } from "../types.js";
import { byId, union } from "./arrays.js";
import { documentOf } from "./diff.js";
import { type Draft, getField, isBlocked, isEqual, putField, removeField } from "./document.js";
import { type Step, stepsBetween } from "./steps.js";

/** How concurrent edits of one field are settled. */
export type FieldStrategy = Strategy | "counter" | "union";

/** How a merge decides. */
export interface MergeStrategies {
  /** For every field that `fields` does not name; `last-write-wins` if left out. */
  readonly conflict?: Strategy;
  /** By dotted path, for the field and everything below it; the longest path counts. */
  readonly fields?: { readonly [path: string]: FieldStrategy };
  /** Which side wrote last, for `last-write-wins` and for what `merge` cannot join. Mine if left out. */
  readonly later?: "mine" | "theirs";
}

/** A value that lost. */
export interface Lost {
  /** JSON Pointer of the field. */
  readonly path: string;
  /** What its author wrote; absent if that was to remove the field. */
  readonly yours?: Json;
  /** What is there instead; absent if nothing is. */
  readonly kept?: Json;
}

/** What became of two edits of one document. */
export interface Merged {
  readonly value: JsonObject;
  /** Values of mine that lost. */
  readonly overwritten: readonly Lost[];
  /** Values of theirs that lost. */
  readonly displaced: readonly Lost[];
}

/** Merges two documents that both began as `base`. */
export function merge(base: unknown, mine: unknown, theirs: unknown, strategies: MergeStrategies = {}): Merged {
  const from = documentOf(base, "base");
  return mergeDocuments(from, documentOf(mine, "mine"), documentOf(theirs, "theirs"), rulesOf(strategies));
}

/** {@link merge} of documents that were checked. */
export function mergeDocuments(base: JsonObject, mine: JsonObject, theirs: JsonObject, rules: MergeRules): Merged {
  const weave = new Weave(documentOf(theirs, "theirs") as Draft, touchedPaths(base, theirs), rules);
  for (const step of stepsBetween(base, mine)) weave.take(step);
  return { value: weave.document, overwritten: weave.overwritten, displaced: weave.displaced };
}

/** {@link MergeStrategies}, checked. */
export interface MergeRules {
  readonly conflict: Strategy;
  /** By JSON Pointer, the longest first. */
  readonly fields: readonly (readonly [string, FieldStrategy])[];
  readonly mineIsLater: boolean;
}

const STRATEGIES: readonly string[] = ["last-write-wins", "merge", "client-wins", "server-wins"];
const FIELD_STRATEGIES: readonly string[] = ["counter", "union"];

/** Carries out my steps on their document. */
class Weave {
  readonly overwritten: Lost[] = [];
  readonly displaced: Lost[] = [];
  /** Objects of mine that lost: their fields lose with them. */
  readonly #lost: string[] = [];

  constructor(
    readonly document: Draft,
    /** The leaf paths that they changed. */
    private readonly touched: readonly string[],
    private readonly rules: MergeRules,
  ) {}

  take(step: Step): void {
    const { path, keys, now } = step;
    if (this.#lost.some((lost) => covers(lost, path))) return;
    if (isBlocked(this.document, keys)) {
      if (now !== undefined) this.#lose(step);
      return;
    }
    const stored = getField(this.document, keys);
    const unseen = this.touched.some((other) => overlaps(other, path));
    const sum = unseen ? this.#count(step, stored) : undefined;
    if (sum !== undefined) return putField(this.document, keys, sum);
    if (isJsonObject(now) ? isJsonObject(stored) : isEqual(stored, now)) return;
    if (now === undefined && isJsonObject(stored) && isJsonObject(step.was)) {
      // What is left in it was written by others and stays.
      if (Object.keys(stored).length === 0) removeField(this.document, keys);
      return;
    }
    const concurrent = unseen && !isEqual(stored, step.was);
    if (concurrent && this.#combine(step, stored)) return;
    if (concurrent && !this.#wins(path)) return this.#lose(step);
    if (concurrent) this.displaced.push(lost(path, stored, now));
    if (now === undefined) removeField(this.document, keys);
    else putField(this.document, keys, isJsonObject(now) ? {} : now);
  }

  /** Makes one value of two, where the strategy knows how. Where both changed the same part, one of them lost it. */
  #combine(step: Step, stored: Json | undefined): boolean {
    const { path, keys, was, now } = step;
    if (now === undefined || isJsonObject(now) || stored === undefined) return false;
    const [strategy, wins] = [this.#strategy(path), this.#wins(path)];
    const asSet = strategy === "union" ? union(was, now, stored) : undefined;
    const combined = strategy === "merge" ? byId(was, now, stored, wins) : asSet;
    if (combined === undefined) return false;
    putField(this.document, keys, combined.value);
    if (combined.clash && wins) this.displaced.push(lost(path, stored, combined.value));
    else if (combined.clash) this.#lose(step);
    return true;
  }

  #wins(path: string): boolean {
    const strategy = this.#strategy(path);
    if (strategy === "client-wins" || strategy === "server-wins") return strategy === "client-wins";
    // What they changed below it does not count: a value and the fields of an object in its place are settled by what
    // fits.
    return this.rules.mineIsLater || !this.touched.some((other) => covers(other, path));
  }

  #strategy(path: string): FieldStrategy {
    return this.rules.fields.find(([field]) => covers(field, path))?.[1] ?? this.rules.conflict;
  }

  /** A new value of a counter is its difference to what its author saw: two who count from 3 to 4 have counted to 5. */
  #count({ path, was, now }: Step, stored: Json | undefined): number | undefined {
    if (this.#strategy(path) !== "counter" || typeof now !== "number") return undefined;
    const [before, there] = [was ?? 0, stored ?? 0];
    if (was === null || stored === null || typeof before !== "number" || typeof there !== "number") return undefined;
    const sum = there + (now - before);
    return Number.isFinite(sum) ? sum : undefined;
  }

  #lose({ path, keys, now }: Step): void {
    if (isJsonObject(now)) this.#lost.push(path);
    this.overwritten.push(lost(path, now, getField(this.document, keys)));
  }
}

/** The leaf paths at which an edit changed a document. */
function touchedPaths(before: JsonObject, after: JsonObject): readonly string[] {
  return stepsBetween(before, after).map((step) => step.path);
}

function rulesOf(strategies: MergeStrategies): MergeRules {
  const { conflict = "last-write-wins", fields = {}, later = "mine" } = strategies;
  const known = (strategy: string, more: readonly string[] = []): void => {
    if (STRATEGIES.includes(strategy) || more.includes(strategy)) return;
    throw badConfig(`there is no strategy ${JSON.stringify(strategy)}; use ${[...STRATEGIES, ...more].join(", ")}`);
  };
  known(conflict);
  if (later !== "mine" && later !== "theirs") throw badConfig('"later" is "mine" or "theirs"');
  const byPointer = Object.entries(fields).map(([path, strategy]) => {
    known(strategy, FIELD_STRATEGIES);
    return [toPointer(path), strategy] as const;
  });
  return { conflict, fields: deepestFirst(byPointer), mineIsLater: later === "mine" };
}

/** The strategies of fields in the order in which a merge asks for them. */
export function deepestFirst<T>(fields: readonly (readonly [string, T])[]): readonly (readonly [string, T])[] {
  const depth = (pointer: string): number => pointer.split("/").length;
  return [...fields].sort(([one], [other]) => depth(other) - depth(one));
}

function covers(path: string, other: string): boolean {
  return path === other || other.startsWith(`${path}/`);
}

function lost(path: string, yours: Json | undefined, kept: Json | undefined): Lost {
  return { path, ...(yours === undefined ? {} : { yours }), ...(kept === undefined ? {} : { kept }) };
}

function badConfig(what: string): TidewireError {
  return new TidewireError("bad-config", `merge(): ${what}.`);
}
