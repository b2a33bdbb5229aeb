/**
 * Intents: what a write asks for, before it is known what the rows look like. They become operations when the store is
 * open, one after the other, each seeing what those before it in the same request did.
 */
import { TidewireError } from "./errors.js";
import { canonicalJson, cleanObject, type JsonObject } from "./json.js";
import { changedKeys, completed, implied, narrowed, patchOf, refuseUnseen } from "./known.js";
import { applyEdits, wirePatch, type Edit } from "./patch.js";
import type { RowCache } from "./rows.js";
import { isPromise, validateUpdate, type StandardSchema } from "./schema.js";
import type { WireOp } from "./wasm/wire.js";

/** One thing that a write asks for. Values of inserts are validated already, and JSON. */
export type Intent =
  | { readonly kind: "insert" | "upsert"; readonly id: string; readonly text: string; readonly missing: Missing }
  | {
      readonly kind: "patch";
      readonly id: string;
      readonly edits: readonly Edit[];
      readonly missing: Missing;
      readonly ifRev: number | undefined;
    }
  | {
      readonly kind: "draft";
      readonly id: string;
      readonly edit: (draft: never) => unknown;
      readonly ifRev: number | undefined;
    }
  | { readonly kind: "delete"; readonly id: string; readonly ifRev: number | undefined };

/** Pointers of the hidden fields that the value, a row as it was read, says that it lacks. */
type Missing = readonly string[];

/** The collection that an intent is about. */
export interface IntentTarget {
  readonly name: string;
  readonly schema: StandardSchema;
  /** Pointers of the fields that are not stored (`known.ts`). */
  readonly hidden: readonly string[];
}

/** Turns intents into operations. One per request: it remembers what the request has done so far. */
export class Resolver {
  readonly #changed = new Map<string, JsonObject | null>();

  constructor(private readonly rows: Pick<RowCache, "entity" | "wasMissing">) {}

  /** The entity as the request sees it, without its id. */
  entity(collection: string, id: string): JsonObject | undefined {
    const changed = this.#changed.get(`${collection}/${id}`);
    return changed === undefined ? this.rows.entity(collection, id) : (changed ?? undefined);
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
      case "upsert":
        return this.#upsert(target, intent, before);
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

  #upsert(
    target: IntentTarget,
    { id, text, missing }: Intent & { kind: "insert" | "upsert" },
    before: JsonObject | undefined,
  ): WireOp | undefined {
    const { name: c, hidden } = target;
    const given = JSON.parse(text) as JsonObject;
    const value = before === undefined ? given : completed(given, before, missing);
    if (before !== undefined) this.#refuseUnseen(target, id, before, value, hidden);
    this.#changed.set(`${c}/${id}`, value);
    if (before === undefined) return insertOp(c, [{ id, text }]);
    return canonicalJson(before) === canonicalJson(value) ? undefined : wholeOp(target, id, before, value);
  }

  /** A whole value cannot tell what its author removed from what he never saw. */
  #refuseUnseen(
    { name: collection }: IntentTarget,
    id: string,
    before: JsonObject,
    after: JsonObject,
    fields: readonly string[],
  ): void {
    if (fields.length > 0 && this.rows.wasMissing(collection, id))
      refuseUnseen(before, after, fields, { collection, id });
  }

  #patch(target: IntentTarget, intent: Intent & { kind: "patch" }, before: JsonObject): WireOp | undefined {
    const { hidden } = target;
    const { id, missing } = intent;
    const after = completed(applyEdits(before, intent.edits), before, missing);
    this.#refuseUnseen(target, id, before, after, implied(intent.edits, hidden));
    const edits = hidden.length > 0 ? narrowed(intent.edits, before, after, hidden, missing) : intent.edits;
    const touched = edits.map((edit) => edit.pointer);
    const validated = validateUpdate(target.schema, before, after, touched, target.name);
    this.#changed.set(`${target.name}/${id}`, after);
    if (edits.length === 0) return undefined;
    return {
      op: "patch",
      c: target.name,
      id,
      ...wirePatch(edits, validated),
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
    return { ...wholeOp(target, intent.id, before, after), ...revision(intent.ifRev) };
  }
}

/** The operation that makes an entity another one: where fields are hidden, of what differs. */
function wholeOp({ name: c, hidden }: IntentTarget, id: string, before: JsonObject, value: JsonObject): WireOp {
  if (hidden.length === 0) return { op: "replace", c, id, value };
  return { op: "patch", c, id, ...patchOf(value, changedKeys(before, value, "", hidden)) };
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
