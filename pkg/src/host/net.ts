/** The network: requests with streamed answers, and the live channel. No token ever stands in an address. */

/** What the engine folds in one go: a whole network chunk can be megabytes and would block the page. */
const PIECE_BYTES = 128 * 1024;
/** After this much work on one body the browser gets a turn. */
const TURN_MS = 6;

/** From here on it is worth the time to compress what is sent. */
const PACK_CHARS_MIN = 8 * 1024;

/** From here on a blob is sent: in Chromium it leaves milliseconds before a text does (`docs/decisions/0025`). */
const BLOB_CHARS_MIN = 64 * 1024;

/** The connection broke, or never came about (RFC 6455, 7.1.5). */
export const CODE_ABNORMAL = 1006;

/** Who hears what comes of a request. */
export interface Answer {
  head(status: number, retryAfterMs: number | undefined, json: boolean): void;
  /** Ends when there is room for more. */
  piece(bytes: Uint8Array): Promise<void>;
}

/** Whom the engine talks to. */
export interface Net {
  /** One request: its head, then its body in pieces as they arrive, then the end of this. Aborted, it says no more. */
  exchange(
    path: string,
    body: string | undefined,
    bearer: string | undefined,
    signal: AbortSignal,
    answer: Answer,
  ): Promise<void>;
  /** Begins to connect the live channel. */
  socket(news: SocketNews): Socket;
  /** Bytes that compression has kept off the wire; not there: nobody knows. */
  readonly saved?: Saved;
  /** Lets go of what it holds. */
  close?(): void;
}

/** See `Net`. */
export interface Saved {
  up: number;
  /** Not a number until the browser has told it of an answer. */
  down: number;
}

/** A server of this protocol at an address. `told` hears when `saved` has become more. */
export function serverAt(url: string, told: () => void): Net {
  const base = `${url.replace(/\/+$/, "")}/api/sync/`;
  const saved: Saved = { up: 0, down: NaN };
  const wire = { packs: false, saved };
  // Only the browser knows what travelled, and tells it when all is over.
  const observer = new PerformanceObserver((list) => {
    for (const { name, decodedBodySize, encodedBodySize } of list.getEntries() as PerformanceResourceTiming[]) {
      const down = (saved.down || 0) + decodedBodySize - encodedBodySize;
      // Zero: the browser does not tell this page.
      if (decodedBodySize === 0 || down === saved.down || !name.startsWith(base)) continue;
      saved.down = down;
      told();
    }
  });
  observer.observe({ type: "resource" });
  return {
    exchange: (path, ...rest) => exchange(wire, base + path, ...rest),
    socket: (news) => openSocket(`${base}live`, news),
    saved,
    close: () => observer.disconnect(),
  };
}

/** A peer that is loaded when it is needed; one that cannot be loaded is not reached. */
export function lateNet(load: () => Promise<Net>): Net {
  return {
    exchange: async (...request) => (await load()).exchange(...request),
    socket: (news) => {
      let [socket, closed]: [Socket | undefined, boolean] = [undefined, false];
      load().then(
        (net) => closed || (socket = net.socket(news)),
        () => closed || news.closed(CODE_ABNORMAL),
      );
      return { send: (text) => socket?.send(text), close: () => ((closed = true), socket?.close()) };
    },
  };
}

async function exchange(
  wire: { packs: boolean; readonly saved: Saved },
  url: string,
  body: string | undefined,
  bearer: string | undefined,
  signal: AbortSignal,
  answer: Answer,
): Promise<void> {
  const headers: Record<string, string> = { accept: "application/x-ndjson, application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (bearer !== undefined) headers["authorization"] = `Bearer ${bearer}`;
  let sent: BodyInit | undefined = body;
  if (wire.packs && body !== undefined && body.length > PACK_CHARS_MIN && typeof CompressionStream === "function") {
    headers["content-encoding"] = "gzip";
    const plain = new TextEncoder().encode(body);
    const packed = new Response(plain).body?.pipeThrough(new CompressionStream("gzip"));
    sent = await new Response(packed).blob();
    wire.saved.up += plain.length - sent.size;
  } else if (body !== undefined && body.length > BLOB_CHARS_MIN) {
    sent = new Blob([body]);
  }
  const post = sent === undefined ? {} : { method: "POST", body: sent };
  const response = await fetch(url, { cache: "no-store", headers, signal, ...post });
  if (signal.aborted) return;
  const header = (name: string): string => response.headers.get(name)?.trim() ?? "";
  // Each answer says anew what the server reads (RFC 9110, 12.5.3).
  wire.packs = /\bgzip\b/.test(header("accept-encoding"));
  answer.head(response.status, retryAfterMs(header("retry-after")), isJson(header("content-type")));
  const reader = response.body?.getReader();
  // The stream of a browser that gives none is the whole body.
  let whole = reader === undefined ? new Uint8Array(await response.arrayBuffer()) : undefined;
  let turnBegan = performance.now();
  for (;;) {
    const chunk = reader === undefined ? whole : (await reader.read()).value;
    whole = undefined;
    if (chunk === undefined) return;
    for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
      if (performance.now() - turnBegan >= TURN_MS) {
        await breathe();
        turnBegan = performance.now();
      }
      if (signal.aborted) return;
      await answer.piece(chunk.subarray(at, at + PIECE_BYTES));
    }
  }
}

/** Seconds, or a date (RFC 9110, 10.2.3). */
export function retryAfterMs(text: string): number | undefined {
  if (/^\d{1,10}$/.test(text)) return Number(text) * 1_000;
  const wait = Date.parse(text) - Date.now();
  return Number.isNaN(wait) ? undefined : Math.max(0, wait);
}

/** A captive portal or a proxy answers 200 with a page of its own: only what says that it is JSON is read as JSON. */
function isJson(contentType: string): boolean {
  return /^(application\/(json|(x-)?ndjson)|[^;]*\+json)\s*(;|$)/i.test(contentType);
}

/**
 * Ends in a later task of the event loop, so that input and painting come between. A message, not a timer: timers are
 * held back to one a second in hidden tabs.
 */
function breathe(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** One WebSocket that carries text. */
export interface Socket {
  send(text: string): void;
  /** Closes it, silently. */
  close(): void;
}

/** What happens on the live channel. */
export interface SocketNews {
  open(): void;
  text(text: string): void;
  closed(code: number): void;
}

/** An address that cannot be used is a channel that closed. */
function openSocket(url: string, news: SocketNews): Socket {
  let silent = false;
  let socket: WebSocket | undefined;
  const heard = (say: () => void) => (): void => void (silent || say());
  try {
    const address = new URL(url, typeof location === "object" ? location.href : undefined);
    address.protocol = address.protocol.replace("http", "ws");
    socket = new WebSocket(address);
    socket.onopen = heard(() => news.open());
    socket.onmessage = ({ data }) => {
      // The protocol has no binary messages.
      if (!silent && typeof data === "string") news.text(data);
    };
    // An error is followed by the close, and says nothing that the close does not.
    socket.onclose = ({ code }) => silent || news.closed(code);
  } catch {
    // Not from inside the call that asked for it.
    queueMicrotask(heard(() => news.closed(CODE_ABNORMAL)));
  }
  return {
    send: (text) => {
      // One that is connecting throws; one that is closing says so by itself.
      if (socket?.readyState === WebSocket.OPEN) socket.send(text);
    },
    close: () => {
      silent = true;
      socket?.close();
    },
  };
}
