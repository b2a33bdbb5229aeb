/**
 * Every failure that a user of the package meets is a {@link TidewireError} with a stable code.
 *
 * The core and the browser shell have codes of their own (`quota`, `not-found`, `rate-limited` …); the list here is
 * what this layer raises itself. All of them stand in `docs/ERRORS.md`.
 */

/** The codes that the TypeScript face raises itself. */
export const FACE_CODES = [
  "aborted",
  "async-function",
  "async-schema",
  "bad-config",
  "bad-name",
  "bad-patch",
  "bad-path",
  "bad-query",
  "bad-value",
  "closed",
  "config-differs",
  "conflict-function",
  "encrypted",
  "forbidden-key",
  "insecure-context",
  "insecure-url",
  "internal",
  "invalid",
  "not-encrypted",
  "not-found",
  "offline",
  "patch-failed",
  "paused",
  "sensitive-offline",
  "server-side",
  "timeout",
  "too-deep",
  "too-large",
  "transaction-over",
  "unknown-collection",
  "wasm-load",
  "wrong-key",
  "wrong-type",
] as const;

/** A code of this layer. */
export type FaceCode = (typeof FACE_CODES)[number];

/** Any code: those of this layer are named, those of the core and of later releases are strings. */
export type ErrorCode = FaceCode | (string & {});

const RETRYABLE: ReadonlySet<string> = new Set(["aborted", "internal", "offline", "paused", "timeout", "wasm-load"]);

/** What an error is about. */
export interface ErrorDetails {
  readonly retryable?: boolean | undefined;
  readonly collection?: string | undefined;
  readonly id?: string | undefined;
  /** JSON Pointer of the field. */
  readonly path?: string | undefined;
  readonly cause?: unknown;
}

/** The one error class of the package. `hint` (the same text as `message`) says what to do. */
export class TidewireError extends Error {
  /** Stable across releases; see `docs/ERRORS.md`. */
  readonly code: ErrorCode;
  /** Whether the same call can succeed later without a change. */
  readonly retryable: boolean;
  readonly hint: string;
  readonly collection?: string;
  readonly id?: string;
  readonly path?: string;

  constructor(code: ErrorCode, hint: string, details: ErrorDetails = {}) {
    super(hint, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "TidewireError";
    this.code = code;
    this.hint = hint;
    this.retryable = details.retryable ?? RETRYABLE.has(code);
    if (details.collection !== undefined) this.collection = details.collection;
    if (details.id !== undefined) this.id = details.id;
    if (details.path !== undefined) this.path = details.path;
  }
}

/**
 * Whatever was thrown, as a {@link TidewireError}: errors of the wasm class keep their code, all else is
 * `internal`.
 */
export function toTidewireError(thrown: unknown, about: ErrorDetails = {}): TidewireError {
  if (thrown instanceof TidewireError) return withDetails(thrown, about);
  const fields = (typeof thrown === "object" && thrown !== null ? thrown : {}) as Record<string, unknown>;
  const text = (key: string): string | undefined => (typeof fields[key] === "string" ? fields[key] : undefined);
  const message = text("hint") ?? text("message") ?? String(thrown);
  const code = text("code");
  if (code === undefined) {
    return new TidewireError("internal", `Tidewire met a failure of its own: ${message}`, { cause: thrown });
  }
  return new TidewireError(code, message, {
    retryable: fields["retryable"] === true,
    collection: text("collection") ?? about.collection,
    id: text("id") ?? about.id,
    path: text("path"),
    cause: thrown,
  });
}

function withDetails(error: TidewireError, about: ErrorDetails): TidewireError {
  if (about.collection === undefined || error.collection !== undefined) return error;
  const { code, hint, retryable, path, cause } = error;
  return new TidewireError(code, hint, {
    retryable,
    path,
    cause,
    collection: about.collection,
    id: error.id ?? about.id,
  });
}

/** Whether this is a trap: the wasm instance cannot be used again. */
export function isTrap(thrown: unknown): boolean {
  return typeof WebAssembly === "object" && thrown instanceof WebAssembly.RuntimeError;
}

/** What the trap of a call says that needs the module's second part before it is there. */
export const LACKING = "the second part of the module is not there yet";

/** Whether a thrown value is that trap: no failure, and the next instance has all. */
export function isLacking(thrown: unknown): boolean {
  return isTrap(thrown) && (thrown as Error).message === LACKING;
}

/** The error of the call in which the module trapped. */
export function trapError(cause: unknown): TidewireError {
  return isLacking(cause)
    ? new TidewireError("wasm-load", "The module's second part is not there yet; try again.", { cause })
    : new TidewireError("internal", "Tidewire restarted its core after a failure of its own; try again.", { cause });
}

/** The error of an aborted signal. */
export function abortedError(signal: AbortSignal): TidewireError {
  return new TidewireError("aborted", "The signal given to this call was aborted.", { cause: signal.reason });
}

/** The error of every call on a server. */
export function serverSideError(): TidewireError {
  return new TidewireError(
    "server-side",
    "Data lives in the browser: on a server, render from a snapshot of your own and pass it as { initial }.",
  );
}

/** The error of an instance that a fresh one does not mend. */
export function failingCoreError(): TidewireError {
  return new TidewireError(
    "internal",
    "Tidewire's core failed several times in a minute. Reload the page; nothing stored is lost.",
    { retryable: false },
  );
}

/** Calls what is not ours: if it throws, the page hears of it, and nobody else is disturbed. */
export function guarded(fn: () => void): void {
  try {
    fn();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
