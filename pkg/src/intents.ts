/**
 * Intents: what a write asks for, before it is known what the rows look like. They become operations when the store is
 * open, one after the other, each seeing what those before it in the same request did.
 */
import { TidewireError } from "./errors.js";
import { canonicalJson, cleanObject, escapeToken, isJsonObject, type JsonObject } from "./json.js";
import { applyEdits, wirePatch, type Edit } from "./patch.js";
import { isPromise, validateUpdate, type StandardSchema } from "./schema.js";
import type { WireOp } from "./wasm/wire.js";

/** One thing that a write asks for. Values of inserts are validated already, and JSON. */
export type Intent =
  | { readonly kind: "insert" | "upsert"; readonly id: string; readonly text: string }
  | { readonly kind: "patch"; readonly id: string; readonly edits: readonly Edit[]; readonly ifRev: number | undefined }
  | {
      readonly kind: "draft";
      readonly id: string;
      readonly edit: (draft: never) => unknown;
      readonly ifRev: number | undefined;
    }
  | { readonly kind: "delete"; readonly id: string; readonly ifRev: number | undefined };

/** The collection that an intent is about. */
export interface IntentTarget {
  readonly name: string;
  readonly schema: StandardSchema;
}

/** Turns intents into operations. One per request: it remembers what the request has done so far. */
export class Resolver {
  readonly #changed = new Map<string, JsonObject | null>();

  constructor(private readonly read: (collection: string, id: string) => JsonObject | undefined) {}

  /** The entity as the request sees it, without its id. */
  entity(collection: string, id: string): JsonObject | undefined {
    const changed = this.#changed.get(`${collection}/${id}`);
    return changed === undefined ? this.read(collection, id) : (changed ?? undefined);
  }

  /** The operation of an intent; `undefined` where nothing is to be done. */
  resolve(target: IntentTarget, intent: Intent): WireOp | undefined {
    const { id } = intent;
    const c = target.name;
    // Whether the id of an insert is free is the core's to say: asking for each of 50,000 rows first costs more than
    // the insert.
    const before = intent.kind === "insert" ? undefined : this.entity(c, id);
    switch (intent.kind) {
      case "insert":
        this.#changed.set(`${c}/${id}`, JSON.parse(intent.text) as JsonObject);
        return insertOp(c, [intent]);
      case "upsert": {
        const value = JSON.parse(intent.text) as JsonObject;
        this.#changed.set(`${c}/${id}`, value);
        if (before === undefined) return insertOp(c, [intent]);
        return canonicalJson(before) === canonicalJson(value) ? undefined : { op: "replace", c, id, value };
      }
      case "patch":
        return this.#patch(target, intent, need(before, c, id));
      case "draft":
        return this.#draft(target, intent, need(before, c, id));
      case "delete":
        need(before, c, id);
        this.#changed.set(`${c}/${id}`, null);
        return { op: "delete", c, id, ...revision(intent.ifRev) };
    }
  }

  #patch(target: IntentTarget, intent: Intent & { kind: "patch" }, before: JsonObject): WireOp | undefined {
    const after = applyEdits(before, intent.edits);
    const touched = intent.edits.map((edit) => edit.pointer);
    const validated = validateUpdate(target.schema, before, after, touched, target.name);
    this.#changed.set(`${target.name}/${intent.id}`, after);
    if (intent.edits.length === 0) return undefined;
    return {
      op: "patch",
      c: target.name,
      id: intent.id,
      ...wirePatch(intent.edits, validated),
      ...revision(intent.ifRev),
    };
  }

  #draft(target: IntentTarget, intent: Intent & { kind: "draft" }, before: JsonObject): WireOp | undefined {
    const draft = structuredClone(before);
    const answer = intent.edit(draft as never);
    if (isPromise(answer)) {
      throw new TidewireError("async-function", "The function that edits a draft must be synchronous.", {
        collection: target.name,
        id: intent.id,
      });
    }
    const after = cleanObject(draft);
    const touched = changedKeys(before, after);
    if (touched.length === 0) return undefined;
    validateUpdate(target.schema, before, after, touched, target.name);
    this.#changed.set(`${target.name}/${intent.id}`, after);
    return { op: "replace", c: target.name, id: intent.id, value: after, ...revision(intent.ifRev) };
  }
}

/** New entities as one operation. */
export function insertOp(c: string, entities: readonly { readonly id: string; readonly text: string }[]): WireOp {
  return {
    op: "insert",
    c,
    ids: entities.map(({ id }) => id),
    lines: entities.map(({ id, text }) => JSON.stringify(id) + text),
  };
}

function need(entity: JsonObject | undefined, collection: string, id: string): JsonObject {
  if (entity === undefined)
    throw new TidewireError("not-found", `"${collection}" has no entity with the id ${id}.`, { collection, id });
  return entity;
}

function revision(ifRev: number | undefined): { ifRev?: number } {
  return ifRev === undefined ? {} : { ifRev };
}

/** Pointers of the fields at which two entities differ, as deep as both hold objects. */
export function changedKeys(before: JsonObject, after: JsonObject, prefix = ""): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) => {
    const pointer = `${prefix}/${escapeToken(key)}`;
    const [old, fresh] = [before, after].map((entity) => (Object.hasOwn(entity, key) ? entity[key] : undefined));
    if (old === undefined || fresh === undefined) return old === fresh ? [] : [pointer];
    if (canonicalJson(old) === canonicalJson(fresh)) return [];
    return isJsonObject(old) && isJsonObject(fresh) ? changedKeys(old, fresh, pointer) : [pointer];
  });
}
