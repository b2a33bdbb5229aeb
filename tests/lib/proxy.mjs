/**
 * The bad network: an HTTP and WebSocket proxy between one device and the server.
 *
 * `mode` is the state of the line: "open", "refuse" (every connection is cut at once), "blackhole" (connections stand,
 * nothing moves), "mute" (nothing gets to the server) or "deaf" (nothing comes from it). `next(path, times, fault)`
 * lets a fault meet the next requests whose path ends so. `log` is what the device asked for: of each request the text
 * of its body, its `content-encoding`, and the bytes of both bodies as they travelled (`up`, `down`). `onFrame` turns
 * one WebSocket message of the server into those that arrive; undefined cuts the connection.
 *
 * Pushes on the live channel are in the log as `SAY` of the path that a request would have. Where a fault waits for
 * such a request the channel is cut in their place: the device then sends them by a request, which meets the fault.
 */
import http from "node:http";
import net from "node:net";
import zlib from "node:zlib";

import { FrameSplitter } from "./frames.mjs";

export async function startProxy(upstreamPort) {
  const proxy = new Proxy_(upstreamPort);
  await proxy.listen();
  return proxy;
}

class Proxy_ {
  mode = "open";
  log = [];
  onFrame = (frame) => [frame];
  #upstreamPort;
  #server;
  #sockets = new Set();
  #faults = [];

  constructor(upstreamPort) {
    this.#upstreamPort = upstreamPort;
    this.#server = http.createServer((request, response) => this.#request(request, response));
    this.#server.on("connection", (socket) => this.#track(socket));
    this.#server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
    this.#server.keepAliveTimeout = 60_000;
  }

  async listen() {
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** From now on every connection is cut. */
  refuse() {
    this.mode = "refuse";
    this.#sockets.forEach((socket) => socket.destroy());
  }

  /** From now on nothing moves, though every connection stands. */
  blackhole() {
    this.mode = "blackhole";
  }

  /** From now on one direction is dead, though every connection stands: what the device says, or what it is told. */
  half(/** @type {"mute" | "deaf"} */ mode) {
    this.mode = mode;
  }

  /** The line works again. What was held on its way is lost. */
  heal() {
    if (this.mode !== "open") this.#sockets.forEach((socket) => socket.destroy());
    this.mode = "open";
  }

  /** Lets `fault` meet the next `times` requests whose path ends in `path`. Earlier faults go first. */
  next(path, times, fault) {
    const entry = { path, left: times, fault };
    this.#faults.push(entry);
    return { met: () => times - entry.left, stop: () => (entry.left = 0) };
  }

  /** The requests seen whose path ends in `path`. */
  seen(path) {
    return this.log.filter((entry) => entry.path.endsWith(path));
  }

  async close() {
    this.refuse();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #track(socket) {
    if (this.mode === "refuse") return void socket.destroy();
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
  }

  async #request(request, response) {
    const chunks = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return;
    }
    const exchange = new Exchange(this.#upstreamPort(), request, response, Buffer.concat(chunks));
    if (this.mode === "blackhole" || this.mode === "mute") return;
    if (this.mode === "deaf") return void exchange.forward().catch(() => undefined);
    if (request.method === "OPTIONS") return void exchange.pass();
    const entry = exchange.entry;
    this.log.push(entry);
    const rule = this.#faults.find((fault) => fault.left > 0 && entry.path.endsWith(fault.path));
    if (!rule) return void exchange.pass();
    rule.left -= 1;
    await Promise.resolve(rule.fault(exchange)).catch((error) => {
      entry.failed = String(error);
      exchange.cut();
    });
  }

  #upgrade(request, socket, head) {
    if (this.mode === "blackhole" || this.mode === "mute") return;
    this.log.push({ method: "UPGRADE", path: pathOf(request), body: "", at: performance.now() });
    const upstream = net.connect(this.#upstreamPort(), "127.0.0.1");
    const end = () => [socket, upstream].forEach((side) => side.destroy());
    [socket, upstream].forEach((side) => side.on("error", end).on("close", end));
    const lines = [`${request.method} ${request.url} HTTP/1.1`];
    for (let i = 0; i < request.rawHeaders.length; i += 2)
      lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
    upstream.write(`${lines.join("\r\n")}\r\n\r\n`);
    const asked = new FrameSplitter({ head: false });
    const line = { path: pathOf(request).replace(/live$/, "push"), bearer: undefined };
    const pass = (bytes) => {
      if (this.mode !== "open" && this.mode !== "deaf") return;
      for (const frame of asked.push(bytes)) {
        if (!this.#said(frame, line)) return end();
        upstream.write(frame.bytes);
      }
    };
    socket.on("data", pass);
    pass(head);
    const splitter = new FrameSplitter();
    upstream.on("data", (bytes) => {
      if (this.mode !== "open" && this.mode !== "mute") return;
      for (const frame of splitter.push(bytes)) this.#deliver(frame, socket);
    });
  }

  /** Looks at what a device says. Returns whether it may. */
  #said({ text }, line) {
    if (text === undefined) return true;
    const { t, token } = JSON.parse(text);
    if (token !== undefined) line.bearer = `Bearer ${token}`;
    if (t !== "push") return true;
    const { path, bearer } = line;
    if (this.#faults.some((fault) => fault.left > 0 && path.endsWith(fault.path))) return false;
    const body = text.slice(text.indexOf('"body":') + '"body":'.length, -1);
    this.log.push({ method: "SAY", path, bearer, body, up: Buffer.byteLength(body), down: 0, at: performance.now() });
    return true;
  }

  #deliver(frame, socket) {
    const frames = frame.text === undefined ? [frame] : this.onFrame(frame);
    if (frames === undefined) return void socket.destroy();
    frames.forEach((each) => socket.writable && socket.write(each.bytes));
  }
}

/** One request on its way, in the hands of a fault. */
class Exchange {
  #port;
  #request;
  #response;
  #body;

  constructor(port, request, response, body) {
    this.#port = port;
    this.#request = request;
    this.#response = response;
    this.#body = body;
    const { method, headers } = request;
    const bearer = headers.authorization;
    const encoding = headers["content-encoding"];
    const text = (encoding === "gzip" ? zlib.gunzipSync(body) : body).toString("utf8");
    /** @type {any} */
    this.entry = { method, path: pathOf(request), bearer, body: text, at: performance.now() };
    Object.assign(this.entry, { encoding, up: body.length, down: 0 });
    response.on("error", () => response.destroy());
  }

  /** Sends it on and streams the answer back. */
  pass() {
    const upstream = this.#ask((answer) => {
      this.entry.status = answer.statusCode;
      this.entry.answered = answer.headers["content-encoding"];
      answer.on("data", (chunk) => (this.entry.down += chunk.length));
      this.#response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(this.#response);
      answer.on("error", () => this.cut());
    });
    upstream.on("error", () => this.cut());
    this.#response.on("close", () => upstream.destroy());
  }

  /** Sends it on and returns the whole answer. */
  forward() {
    return new Promise((resolve, reject) => {
      const upstream = this.#ask(async (answer) => {
        const chunks = [];
        try {
          for await (const chunk of answer) chunks.push(chunk);
          resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks) });
        } catch (error) {
          reject(error);
        }
      });
      upstream.on("error", reject);
    });
  }

  /**
   * Answers with what `forward` gave or with something made up.
   *
   * @param {{ status: number, headers?: http.IncomingHttpHeaders, body?: string | Buffer }} answer
   */
  reply({ status, headers = {}, body = "" }) {
    this.entry.status = status;
    if (this.#response.destroyed) return;
    const { "transfer-encoding": _, ...rest } = headers;
    this.#response.writeHead(status, { ...this.#cors(), ...rest, "content-length": Buffer.byteLength(body) });
    this.#response.end(body);
  }

  /** Answers with the head and half of the body, then cuts, or says nothing more. */
  replyHalf({ status, headers, body }, { cut = true } = {}) {
    this.entry.status = status;
    this.#response.writeHead(status, headers);
    this.#response.write(body.subarray(0, body.length >> 1), () => cut && this.cut());
  }

  /** Cuts the connection without an answer. */
  cut() {
    this.entry.cut = true;
    this.#response.socket?.destroy();
  }

  #ask(answered) {
    const { method, url, headers } = this.#request;
    const upstream = http.request(
      { host: "127.0.0.1", port: this.#port, method, path: url, headers, agent: false },
      answered,
    );
    upstream.end(this.#body);
    return upstream;
  }

  #cors() {
    const origin = this.#request.headers.origin;
    return origin
      ? { "access-control-allow-origin": origin, "access-control-expose-headers": "retry-after", vary: "origin" }
      : {};
  }
}

function pathOf(request) {
  return new URL(request.url, "http://proxy").pathname;
}
