/**
 * The boundary between the host and a client of the wasm module, as `src/client.rs` and `src/host.rs` have it.
 *
 * Bytes cross as parts: one call for each, right before the call that they belong to. What goes to the module is
 * copied into its memory; what comes from it has a buffer of its own.
 */
import type { WireHost } from "../wasm/wire.js";

/** A client. It throws at no call of the host, but when it traps; `call` throws what the engine refuses. */
export interface ModuleClient {
  /** A call of the app, which is answered at once. Nothing comes of a row that is not there. */
  call(what: number, text: string, more: string): string | undefined;
  open(): void;
  close(): void;
  turn(): void;
  part(key: number, bytes?: Uint8Array): void;
  stored(token: number, answer: number, number: number, directories: number): void;
  response(token: number, status: number, retryAfterMs: number | undefined, json: boolean): void;
  tell(what: number, token: number, number: number, text?: string): void;
}

/** What the module calls. None of it throws. */
export interface ModuleHost {
  event(json: string): void;
  opened(failure: unknown): void;
  soon(): void;
  part(bytes: Uint8Array): void;
  key(key: number): void;
  load(token: number): void;
  readLog(token: number, after: number): void;
  readSegments(token: number): void;
  append(token: number, strict: boolean): void;
  seal(token: number, expect: number, upto: number, fence: number): void;
  clean(token: number, fence: number): void;
  fetch(token: number, path: string, body: string | undefined, bearer: string | undefined): void;
  abort(token: number): void;
  socketOpen(token: number): void;
  socketSend(token: number, text: string): void;
  socketClose(token: number): void;
  askToken(why: Parameters<WireHost["token"]>[0]): void;
  broadcast(bytes: Uint8Array): void;
  lock(what: "ask" | "steal" | "leave"): void;
  wake(atMs: number): void;
}

// What `call` asks for.
export const WRITE = 0;
export const UNDO = 1;
export const ROW = 2;
export const ROWS = 3;
export const QUERY = 4;
export const VIEW = 5;
export const COMMAND = 6;
export const EXPORT = 7;
export const WANT = 8;

// What `stored` says.
export const LOADED = 0;
export const SEGMENTS = 1;
export const LOG = 2;
export const APPENDED = 3;
export const WRITTEN = 4;
export const REFUSED = 5;
export const QUOTA = 6;
export const WIPED = 7;
export const NEWER = 8;
export const FAILED = 9;

// What `tell` says.
export const CHUNK = 0;
export const FINISHED = 1;
export const NET_FAILED = 2;
export const SOCKET_OPEN = 3;
export const SOCKET_MESSAGE = 4;
export const SOCKET_CLOSED = 5;
export const TOKEN = 6;
export const TOKEN_FAILED = 7;
export const MESSAGE = 8;
export const LOCK_HELD = 9;
export const LOCK_LOST = 10;
export const ONLINE = 11;
export const VISIBLE = 12;
export const WAKE = 13;
export const WHOLE = 14;
