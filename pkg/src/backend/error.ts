/** What a backend throws to say why a call failed. */
import { retryAfterMs } from "../host/net.js";

/** A failure with a status of HTTP; any thrown value with these fields does the same. */
export class BackendError extends Error {
  constructor(
    /** 401: `auth` is asked again. 429, 5xx: later. Another 4xx of an edit: never. */
    readonly status: number,
    message: string = `The backend answered with HTTP ${status}`,
    /** How long to wait, if it said so. */
    readonly retryAfterMs?: number,
  ) {
    super(message);
    this.name = "BackendError";
  }

  /** The error that an answer stands for; reads no body. */
  static of(response: Response, message?: string): BackendError {
    return new BackendError(response.status, message, retryAfterMs(response.headers.get("retry-after") ?? ""));
  }
}
