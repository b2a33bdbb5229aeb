/** What a thrown value says of why a call failed: the fields of `BackendError`, on whatever was thrown. */
import type { BackendRejection } from "./types.js";

/** The status that an error stands for, if it has one. */
export function statusOf(error: unknown): number | undefined {
  const status = (error as { readonly status?: unknown } | null | undefined)?.status;
  return typeof status === "number" ? status : undefined;
}

/** How long an error asks to wait. */
export function waitOf(error: unknown): number | undefined {
  const wait = (error as { readonly retryAfterMs?: unknown } | null | undefined)?.retryAfterMs;
  return typeof wait === "number" && wait > 0 ? wait : undefined;
}

/** What a thrown value says. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** Answers of HTTP that are final for an edit. */
export const FINAL = new Map<number, BackendRejection["rejected"]["code"]>([
  [400, "invalid"],
  [403, "forbidden"],
  [405, "forbidden"],
  [413, "too-large"],
  [422, "invalid"],
]);
