/** Patches: what a user writes, as pointers; and what an entity looks like after one. */
import { TidewireError } from "./errors.js";
import { canonicalJson, cleanJson, type Json, type JsonObject } from "./json.js";
import { isOperator, type Operator } from "./operators.js";
import { pathKeys, readPointer, toPointer, writePointer } from "./path.js";
import { isRowKey } from "./rows.js";
import type { WirePatch } from "./wasm/wire.js";

/** One edit of one field. */
export interface Edit {
  readonly pointer: string;
  readonly op: Operator["op"];
  /** Absent for `unset`; the list of values for `add` and `remove`. */
  readonly value?: Json;
}

/** The edits that a patch asks for. The id and the `$` facts of a row are not data, so a whole row is a patch too. */
export function compilePatch(patch: unknown): readonly Edit[] {
  if (typeof patch !== "object" || patch === null) {
    throw new TidewireError("bad-value", "A patch is an object of paths and values, or a function that edits a draft.");
  }
  const entries = Array.isArray(patch) ? (patch as [string | string[], unknown][]) : Object.entries(patch);
  return entries
    .filter(([path]) => !isRowKey(pathKeys(path)[0] as string))
    .map(([path, value]) => compileEdit(toPointer(path), value));
}

/** The entity that an edit leaves. */
export function applyEdits(entity: JsonObject, edits: readonly Edit[]): JsonObject {
  return edits.reduce((before, edit) => writePointer(before, edit.pointer, newValue(before, edit)), entity);
}

/** Edits as the core takes them. `validated`: the entity after the edits, as the validator returned it. */
export function wirePatch(edits: readonly Edit[], validated: JsonObject): WirePatch {
  const patch: { unset?: string[] } & { [op in Exclude<Edit["op"], "unset">]?: { [pointer: string]: unknown } } = {};
  for (const { op, pointer, value } of edits) {
    if (op === "unset") (patch.unset ??= []).push(pointer);
    else (patch[op] ??= {})[pointer] = op === "set" ? (readPointer(validated, pointer) ?? value) : value;
  }
  return patch as WirePatch;
}

function compileEdit(pointer: string, value: unknown): Edit {
  if (value === undefined) return { pointer, op: "unset" };
  if (!isOperator(value)) return { pointer, op: "set", value: cleanJson(value, pointer) };
  if (value.op === "unset" || (value.op === "set" && value.value === undefined)) return { pointer, op: "unset" };
  return { pointer, op: value.op, value: cleanJson(value.value, pointer) };
}

function newValue(entity: JsonObject, { pointer, op, value }: Edit): Json | undefined {
  const old = readPointer(entity, pointer) ?? null;
  switch (op) {
    case "set":
      return value;
    case "unset":
      return undefined;
    case "inc":
      if (old !== null && typeof old !== "number") throw wrongType(pointer, "inc() needs a number");
      if (typeof value !== "number") throw wrongType(pointer, "inc() takes a number");
      return (old ?? 0) + value;
    case "add":
    case "remove": {
      if (old !== null && !Array.isArray(old)) throw wrongType(pointer, `${op}() needs an array`);
      const items: readonly Json[] = old ?? [];
      const given = value as readonly Json[];
      const without = (list: readonly Json[], gone: readonly Json[]): Json[] => {
        const texts = new Set(gone.map(canonicalJson));
        return list.filter((item) => !texts.has(canonicalJson(item)));
      };
      return op === "remove" ? without(items, given) : [...items, ...without(given, items)];
    }
  }
}

function wrongType(pointer: string, what: string): TidewireError {
  return new TidewireError("wrong-type", `${pointer}: ${what}.`, { path: pointer });
}
