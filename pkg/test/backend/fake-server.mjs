/**
 * What the servers of these tests have in common. They hold rows in memory, count what they did, and can be made to
 * fail: `faults` are taken one for each write (or read, in `readFaults`).
 *
 *     "lost"   done, but the connection breaks before the answer
 *     "drop"   the connection breaks before anything was done
 *     { status, retryAfter? }
 */
import { createServer } from "node:http";

/** A page of another origin may call this, and read the version. */
const CORS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE",
  "access-control-allow-headers": "authorization, content-type, idempotency-key, if-match, if-none-match, prefer",
  "access-control-expose-headers": "etag",
  "access-control-max-age": "600",
};

/** A server; what it speaks is another's to say. */
export class FakeServer {
  /** By collection and id: `{ id, value, version, updatedAt, seq, deleted }`. */
  rows = new Map();
  /** Writes of clients that took effect: `{ collection, id, method, value, key }`. */
  writes = [];
  /** Every request: `{ method, path, at }`, and how many ran at once. */
  requests = [];
  conflicts = 0;
  most = 0;
  mostForOne = 0;
  faults = [];
  readFaults = [];
  /** Checks a value: an answer says why it is refused. */
  check = (_body) => undefined;
  /** Called before a write is carried out. */
  before = async (_request) => undefined;
  token;
  #seq = 0;
  #running = 0;
  #runningFor = new Map();
  #listeners = new Set();
  #server;
  #latencyMs;
  #answers;

  /**
   * `answers` says what requests that read and those that write are answered with: `{ status, headers?, body }`.
   *
   * @param {{ read(asked: any): any, write(asked: any): any }} answers
   */
  constructor(latencyMs = 0, answers) {
    this.#latencyMs = latencyMs;
    this.#answers = answers;
  }

  async start() {
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error) => response.destroy(error));
    });
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.port = this.#server.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
  }

  async close() {
    for (const response of this.#listeners) response.end();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** What stands there, without what the server adds: a map from id to the fields. */
  all(collection) {
    const live = [...this.rows.values()].filter((row) => row.collection === collection && !row.deleted);
    return new Map(live.map((row) => [row.id, row.value]));
  }

  get(collection, id) {
    return this.rows.get(`${collection}/${id}`);
  }

  /** The rows of a collection in the order in which they were written. */
  list(collection) {
    const rows = [...this.rows.values()].filter((row) => row.collection === collection);
    return rows.sort((a, b) => a.seq - b.seq);
  }

  /** A client writes. */
  store(write, deleted = false) {
    this.writes.push(write);
    return this.put(write.collection, write.id, write.value, deleted);
  }

  /** Somebody else writes. */
  put(collection, id, value, deleted = false) {
    this.#seq += 1;
    const row = { collection, id, value, deleted, version: `"${this.#seq}"`, seq: this.#seq, updatedAt: Date.now() };
    this.rows.set(`${collection}/${id}`, row);
    for (const response of this.#listeners) response.write(`data: ${this.#seq}\n\n`);
    return row;
  }

  async #answer(request, response) {
    for (const [name, value] of Object.entries(CORS)) response.setHeader(name, value);
    const url = new URL(request.url, this.url);
    const [collection, id] = url.pathname.split("/").slice(1).map(decodeURIComponent);
    if (request.method === "OPTIONS") return response.writeHead(204).end();
    if (collection === "events") return this.#listen(request, response);
    this.requests.push({ method: request.method, path: `${collection}/${id ?? ""}`, at: performance.now() });
    this.#count(`${collection}/${id}`, 1);
    try {
      let body = "";
      for await (const chunk of request) body += chunk;
      if (this.#latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, this.#latencyMs));
      const read = request.method === "GET";
      const fault = (read ? this.readFaults : this.faults).shift();
      if (fault === "drop") return response.destroy();
      if (fault?.status) {
        if (fault.retryAfter !== undefined) response.setHeader("retry-after", fault.retryAfter);
        return send(response, fault.status, { detail: "a fault" });
      }
      const { authorization } = request.headers;
      if (this.token !== undefined && authorization !== `Bearer ${this.token}`) return send(response, 401, {});
      await this.before({ method: request.method, collection, id });
      const asked = { method: request.method, headers: request.headers, collection, id, query: url.searchParams, body };
      const answer = read ? this.#answers.read(asked) : this.#answers.write(asked);
      if (fault === "lost") return response.destroy();
      for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value);
      send(response, answer.status, answer.body);
    } finally {
      this.#count(`${collection}/${id}`, -1);
    }
  }

  #count(name, by) {
    this.#running += by;
    this.#runningFor.set(name, (this.#runningFor.get(name) ?? 0) + by);
    this.most = Math.max(this.most, this.#running);
    if (!name.endsWith("/undefined")) this.mostForOne = Math.max(this.mostForOne, this.#runningFor.get(name));
  }

  #listen(request, response) {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    response.write("retry: 1000\n\n");
    this.#listeners.add(response);
    request.on("close", () => this.#listeners.delete(response));
  }
}

function send(response, status, body) {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(body === "" ? "" : JSON.stringify(body));
}
