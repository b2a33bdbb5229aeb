/**
 * Validators: any library that implements Standard Schema (Zod, Valibot, ArkType …), by its interface alone.
 *
 * The types below are the specification's own shape, inlined so that the package has no dependency.
 */
import { TidewireError } from "./errors.js";
import { checkObject, escapeToken, objectText, type JsonObject } from "./json.js";
import { overlaps } from "./path.js";

/** A validator: Standard Schema, version 1. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** What a validator answers. */
export type StandardResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly StandardIssue[] };

/** One complaint of a validator. */
export interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What a validator takes. */
export type InputOf<S extends StandardSchema> = NonNullable<S["~standard"]["types"]>["input"];
/** What a validator gives. */
export type OutputOf<S extends StandardSchema> = NonNullable<S["~standard"]["types"]>["output"];

/** Names of fields whose values JSON cannot hold, as a union; `never` where all is well. */
export type NonJsonField<T, D extends number = 4> = [D] extends [never]
  ? never
  : [T] extends [JsonLike]
    ? never
    : { [K in keyof T & string]-?: NonJsonAt<NonNullable<T[K]>, K, D> }[keyof T & string];

type Depth = [never, 0, 1, 2, 3];
type Scalar = string | number | boolean;
type JsonLike = Scalar | null | undefined | readonly JsonLike[] | { readonly [key: string]: JsonLike };
type NonJsonAt<V, K extends string, D extends number> = unknown extends V
  ? never
  : V extends Scalar
    ? never
    : V extends
          | bigint
          | symbol
          | ((...args: never[]) => unknown)
          | Date
          | Map<unknown, unknown>
          | Set<unknown>
          | RegExp
          | Promise<unknown>
          | ArrayBuffer
          | ArrayBufferView
          | URL
      ? K
      : V extends readonly (infer Item)[]
        ? NonJsonAt<NonNullable<Item>, K, D>
        : V extends object
          ? NonJsonField<V, Depth[D]> extends infer F
            ? F extends string
              ? `${K}.${F}`
              : never
            : never
          : never;

/** Validates a whole entity (without its id) and returns it with defaults filled, as JSON. */
export function validateInsert(schema: StandardSchema, value: JsonObject, collection: string): string {
  const result = run(schema, value, collection);
  if (result.issues !== undefined) throw invalid(result.issues, collection);
  return objectText(result.value);
}

/**
 * Validates the entity that an edit would leave. Only issues on touched paths refuse it, so that an entity which was
 * already wrong elsewhere (older data, a newer schema) can still be edited. An issue of the whole entity refuses only
 * if the entity before the edit did not have it.
 */
export function validateUpdate(
  schema: StandardSchema,
  before: JsonObject,
  after: JsonObject,
  touched: readonly string[],
  collection: string,
): JsonObject {
  const result = run(schema, after, collection);
  if (result.issues === undefined) return checkObject(result.value);
  const onPath = result.issues.filter((issue) => {
    const pointer = issuePointer(issue);
    return pointer !== "" && touched.some((path) => overlaps(path, pointer));
  });
  if (onPath.length > 0) throw invalid(onPath, collection);
  const onWhole = result.issues.filter((issue) => issuePointer(issue) === "");
  if (onWhole.length > 0) {
    const old = new Set((run(schema, before, collection).issues ?? []).map((issue) => issue.message));
    const fresh = onWhole.filter((issue) => !old.has(issue.message));
    if (fresh.length > 0) throw invalid(fresh, collection);
  }
  return after;
}

function run(schema: StandardSchema, value: JsonObject, collection: string): StandardResult<unknown> {
  const result = schema["~standard"].validate(value);
  if (isPromise(result)) {
    void Promise.resolve(result).catch(() => undefined);
    throw new TidewireError(
      "async-schema",
      `The validator of "${collection}" is asynchronous; a local write needs a synchronous one.`,
      { collection },
    );
  }
  return result;
}

/** Whether a function that must be synchronous was not. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}

function issuePointer(issue: StandardIssue): string {
  const keys = (issue.path ?? []).map((part) => (typeof part === "object" ? part.key : part));
  return keys.map((key) => `/${escapeToken(String(key))}`).join("");
}

function invalid(issues: readonly StandardIssue[], collection: string): TidewireError {
  const text = issues.map((issue) => `${issuePointer(issue) || "the entity"}: ${issue.message}`).join("; ");
  const first = issues[0] as StandardIssue;
  return new TidewireError("invalid", `The validator of "${collection}" refuses the value. ${text}`, {
    collection,
    path: issuePointer(first),
    cause: issues,
  });
}
