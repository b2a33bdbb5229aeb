/**
 * A backend of the app's own as the engine's peer: it answers as a server of docs/PROTOCOL.md would, in the tab that
 * leads, with the backend's `pull`, `push` and `listen`. Loaded only where `openDb` is given a `backend`.
 *
 * Invariant: everything that must outlive the tab is in what the engine's log holds anyway: the cursor, the rows and
 * their versions, the verdicts.
 */
import { CODE_ABNORMAL, type Answer, type Net, type Socket, type SocketNews } from "../host/net.js";
import { NO_TOKEN } from "../options.js";
import type { PeerEngine } from "../wasm/wire.js";
import { Desk, type PeerParts } from "./desk.js";
import { isTheirs, pull, type PullRequest } from "./pull.js";
import { Memory, push } from "./push.js";
import { messageOf, statusOf, waitOf } from "./status.js";
import type { PushRequest } from "./units.js";

/** See the module's text. */
export class Peer implements Net {
  readonly #desk: Desk;
  readonly #memory = new Memory();
  readonly #parts: PeerParts;
  /** Why the last push was not carried out whole: the next one is told. */
  #failure: { readonly error: unknown } | undefined;
  #channel: Channel | undefined;

  constructor(parts: PeerParts, engine: PeerEngine) {
    this.#parts = parts;
    this.#desk = new Desk(parts, engine, () => this.#channel?.say({ t: "pull" }));
  }

  async exchange(
    path: string,
    body: string | undefined,
    bearer: string | undefined,
    signal: AbortSignal,
    answer: Answer,
  ): Promise<void> {
    // A call may take as long as a request; whoever waits in the line for it must not be given up meanwhile.
    const alive = setInterval(() => void answer.piece(bytesOf("\n")), this.#desk.timeoutMs / 3);
    try {
      const request = JSON.parse(body ?? "null") as never;
      const token = given(bearer);
      await (path === "pull" ? this.#pull(request, token, signal, answer) : this.#push(request, token, signal, answer));
    } finally {
      clearInterval(alive);
    }
  }

  socket(news: SocketNews): Socket {
    const channel = new Channel(this.#desk, this.#parts.backend, news);
    this.#channel = channel;
    return channel;
  }

  async #pull(request: PullRequest, token: string | null, signal: AbortSignal, answer: Answer): Promise<void> {
    let told = false;
    try {
      for await (const piece of pull(this.#desk, request, token, signal)) {
        if (signal.aborted) return;
        if (!told) answer.head(200, undefined, true);
        told = true;
        await answer.piece(bytesOf(piece));
      }
    } catch (error) {
      if (told) throw error;
      await fail(error, answer);
    }
  }

  async #push(request: PushRequest, token: string | null, signal: AbortSignal, answer: Answer): Promise<void> {
    const before = this.#failure;
    this.#failure = undefined;
    if (before !== undefined) return fail(before.error, answer);
    const { verdicts, failure } = await push(this.#desk, this.#memory, request, token, signal);
    if (signal.aborted) return;
    if (failure !== undefined && verdicts.length === 0) return fail(failure.error, answer);
    this.#failure = failure;
    answer.head(200, undefined, true);
    await answer.piece(bytesOf(JSON.stringify({ ...this.#desk.greeting(), verdicts })));
    // A settled edit waits for its row.
    this.#desk.again();
  }
}

/** The live channel: the backend's `listen` as hints to pull. */
class Channel implements Socket {
  #stop: (() => void) | undefined;
  #closed = false;
  #ready = false;

  constructor(
    private readonly desk: Desk,
    private readonly backend: PeerParts["backend"],
    private readonly news: SocketNews,
  ) {
    // Not from inside the call that asked for it.
    queueMicrotask(() => {
      if (this.#closed) return;
      if (backend().listen === undefined) this.#lose();
      else news.open();
    });
  }

  /** Tells the engine something. */
  say(message: object): void {
    if (this.#ready && !this.#closed) this.news.text(JSON.stringify(message));
  }

  send(text: string): void {
    const message = JSON.parse(text) as { t: string; token?: string; collections?: readonly string[] };
    if (message.t === "auth") queueMicrotask(() => this.#listen(message.collections ?? [], message.token));
    else if (message.t === "ping") queueMicrotask(() => this.say({ t: "pong" }));
    // With another token the channel is made anew.
    else if (message.t === "token") queueMicrotask(() => this.#lose());
  }

  close(): void {
    this.#closed = true;
    this.#stop?.();
    this.#stop = undefined;
  }

  #listen(collections: readonly string[], token: string | undefined): void {
    if (this.#closed) return;
    try {
      const onChange = (): void => queueMicrotask(() => this.say({ t: "pull" }));
      const onLost = (): void => queueMicrotask(() => this.#lose());
      const listener = { collections: collections.filter(isTheirs), token: given(token), onChange, onLost };
      this.#stop = this.backend().listen?.(listener);
    } catch (error) {
      this.desk.bad("listen", undefined, error);
      return this.#lose();
    }
    this.#ready = true;
    const scope = { groups: [], collections, policy: "" };
    // No pull leads there, so this asks for one: what changed before there was a listener is read.
    const cursor = { history: "backend", seq: this.desk.rows.seq, mark: "", scope };
    const { now, user } = this.desk.greeting();
    this.say({ t: "ready", now, user, cursor });
  }

  #lose(): void {
    if (this.#closed) return;
    this.close();
    this.news.closed(CODE_ABNORMAL);
  }
}

/** Answers with what an error stands for; one without a status is a connection that broke. */
async function fail(error: unknown, answer: Answer): Promise<void> {
  const status = statusOf(error);
  if (status === undefined) throw error;
  answer.head(status, waitOf(error), true);
  await answer.piece(bytesOf(JSON.stringify({ code: CODES[status] ?? "server-error", message: messageOf(error) })));
}

const CODES: { readonly [status: number]: string | undefined } = {
  401: "unauthorized",
  403: "forbidden",
  404: "not-found",
  408: "timeout",
  413: "too-large",
  429: "rate-limited",
};

/** The app's token, if it has one. */
function given(token: string | undefined): string | null {
  return token === undefined || token === NO_TOKEN ? null : token;
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
