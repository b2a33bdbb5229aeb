/** How much of a collection is kept, as the engine takes it. */
import { TidewireError } from "./errors.js";
import type { Json } from "./json.js";
import { overlaps } from "./path.js";
import type { AnyCollectionOptions } from "./types.js";
import type { WireWhere } from "./wasm/wire.js";
import { normaliseWhere } from "./where.js";

type Given = Exclude<AnyCollectionOptions["replicate"], undefined>;

/** Checks the option. `local`: pointers of the fields that never leave the device. */
export function partOf(collection: string, given: Given, local: readonly string[] = []): Json {
  if (given === "none" || given === "full") return given;
  if (typeof given !== "object" || given === null)
    throw badConfig(`"${collection}": \`replicate\` is "full", "none" or { where, ttlMs, maxEntities }.`);
  const { where, ttlMs, maxEntities, ...unknown } = given;
  const [strange] = Object.keys(unknown);
  if (strange !== undefined) throw badConfig(`"${collection}": \`replicate\` has no "${strange}".`);
  for (const [name, value] of Object.entries({ ttlMs, maxEntities }))
    if (value !== undefined && !(Number.isSafeInteger(value) && value > 0))
      throw badConfig(`"${collection}": \`replicate.${name}\` is a whole number above 0.`);
  const filter = where === undefined ? undefined : normaliseWhere(where);
  // The server's rows are looked at, and these it does not have.
  const foreign = pathsOf(filter).find((path) => path === "$status" || local.some((own) => overlaps(own, path)));
  if (foreign !== undefined)
    throw badConfig(`"${collection}": \`replicate.where\` is about what the server has, and ${foreign} is not there.`);
  return {
    ...(filter === undefined ? {} : { where: filter as unknown as Json }),
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(maxEntities === undefined ? {} : { maxEntities }),
  };
}

function badConfig(message: string): TidewireError {
  return new TidewireError("bad-config", message);
}

function pathsOf(filter: WireWhere | undefined): string[] {
  if (filter === undefined) return [];
  if ("and" in filter) return filter.and.flatMap(pathsOf);
  if ("or" in filter) return filter.or.flatMap(pathsOf);
  return "not" in filter ? pathsOf(filter.not) : [filter.path];
}
