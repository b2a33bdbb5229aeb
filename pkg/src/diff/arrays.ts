/**
 * Three-way merge of one array: as a set, or item by item where every item is an object with an `id`.
 *
 * An array is one path, so what clashes within it is settled for the whole array at once, by who wins at its path. What
 * is no array, or has more items than are compared pairwise, is not merged here.
 */
import { isJsonObject, type Json, type JsonObject } from "../json.js";
import { isEqual } from "./document.js";

/** As in the core: beyond it, comparing each item with each other takes too long. */
const ITEMS_MAX = 1_000;

/** Two concurrent values as one. */
export interface Combined {
  readonly value: readonly Json[];
  /** Both changed the same thing, so one of them lost something. */
  readonly clash: boolean;
}

/** Arrays as sets: what either added is in it, and what either removed is not. Their items keep their order. */
export function union(was: Json | undefined, mine: Json, theirs: Json): Combined | undefined {
  const [before, here, there] = [itemsOf(was), itemsOf(mine), itemsOf(theirs)];
  if (before === undefined || here === undefined || there === undefined) return undefined;
  const value = there.filter((item) => has(here, item) || !has(before, item));
  for (const item of here) if (!has(before, item) && !has(value, item)) value.push(item);
  return { value, clash: false };
}

/** Arrays of objects, item by item and field by field. New items stand at the end; an order that only one of the two
 * changed is kept. */
export function byId(was: Json | undefined, mine: Json, theirs: Json, mineWins: boolean): Combined | undefined {
  const [before, here, there] = [objectsOf(was), objectsOf(mine), objectsOf(theirs)];
  if (before === undefined || here === undefined || there === undefined) return undefined;
  const [mineMoved, theirsMoved] = [isReordered(before, here), isReordered(before, there)];
  const state = { clash: mineMoved && theirsMoved && isReordered(here, there) };
  const [first, second] = mineMoved && (mineWins || !theirsMoved) ? [here, there] : [there, here];
  const all = [...first, ...second.filter((item) => find(first, item) === undefined)];
  const value = all.flatMap((item) => {
    const merged = threeWay(find(before, item), find(here, item), find(there, item), mineWins, state);
    return merged === undefined ? [] : [merged];
  });
  return { value, clash: state.clash };
}

/** Absence is a value here, too: a field or an item that one removed and the other changed is a clash. */
function threeWay(
  was: Json | undefined,
  mine: Json | undefined,
  theirs: Json | undefined,
  mineWins: boolean,
  state: { clash: boolean },
): Json | undefined {
  if (isEqual(mine, theirs) || isEqual(theirs, was)) return mine;
  if (isEqual(mine, was)) return theirs;
  if (isJsonObject(mine) && isJsonObject(theirs)) {
    const members = [...new Set([...Object.keys(theirs), ...Object.keys(mine)])].flatMap((key): [string, Json][] => {
      const value = threeWay(own(was, key), own(mine, key), own(theirs, key), mineWins, state);
      return value === undefined ? [] : [[key, value]];
    });
    return Object.fromEntries(members);
  }
  state.clash = true;
  return mineWins ? mine : theirs;
}

/** The items; none where there was nothing. */
function itemsOf(value: Json | undefined): readonly Json[] | undefined {
  if (value === undefined) return [];
  return Array.isArray(value) && value.length <= ITEMS_MAX ? (value as readonly Json[]) : undefined;
}

/** The items, if each is an object with an id of its own. */
function objectsOf(value: Json | undefined): readonly JsonObject[] | undefined {
  const items = itemsOf(value);
  const ids = new Set<Json | undefined>();
  for (const item of items ?? []) {
    const id = own(item, "id");
    if ((typeof id !== "string" && typeof id !== "number") || ids.has(id)) return undefined;
    ids.add(id);
  }
  return items as readonly JsonObject[] | undefined;
}

/** Whether the items that both arrays have stand in another order. */
function isReordered(from: readonly JsonObject[], to: readonly JsonObject[]): boolean {
  const rest = to.filter((item) => find(from, item) !== undefined);
  const kept = from.filter((item) => find(to, item) !== undefined);
  return kept.some((item, index) => rest[index]?.["id"] !== item["id"]);
}

function find(items: readonly JsonObject[], like: JsonObject): JsonObject | undefined {
  return items.find((item) => item["id"] === like["id"]);
}

function has(items: readonly Json[], like: Json): boolean {
  return items.some((item) => isEqual(item, like));
}

function own(value: Json | undefined, key: string): Json | undefined {
  return isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}
