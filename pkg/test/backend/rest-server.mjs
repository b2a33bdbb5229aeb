/**
 * A plain REST API with ETags, as an app may have one; see `examples/backends/rest-etag.ts`. It holds rows in memory,
 * counts what it did, and can be made to fail: `faults` are taken one for each write (or read, in `readFaults`).
 *
 *     "lost"   done, but the connection breaks before the answer
 *     "drop"   the connection breaks before anything was done
 *     { status, retryAfter? }
 */
import { createServer } from "node:http";

/** @param {{ latencyMs?: number, remembers?: boolean, complete?: boolean }} [options] */
export async function startRest({ latencyMs = 0, remembers = false, complete = false } = {}) {
  const rest = new Rest({ latencyMs, remembers, complete });
  await rest.start();
  return rest;
}

/** A page of another origin may call this, and read the version. */
const CORS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "GET, PUT, DELETE",
  "access-control-allow-headers": "authorization, content-type, idempotency-key, if-match, if-none-match",
  "access-control-expose-headers": "etag",
  "access-control-max-age": "600",
};

class Rest {
  /** By collection and id: `{ id, value, version, updatedAt, seq, deleted }`. */
  rows = new Map();
  /** Writes that took effect: `{ collection, id, method, body, key }`. */
  writes = [];
  /** Every request: `{ method, path, at }`, and how many ran at once. */
  requests = [];
  conflicts = 0;
  most = 0;
  mostForOne = 0;
  faults = [];
  readFaults = [];
  /** Checks a body: a text says why it is refused. */
  check = (_body) => undefined;
  /** Called before a write is carried out. */
  before = async (_request) => undefined;
  token;
  #seq = 0;
  #running = 0;
  #runningFor = new Map();
  #remembered = new Map();
  #listeners = new Set();
  #server;
  #options;

  constructor(options) {
    this.#options = options;
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
      if (this.#options.latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, this.#options.latencyMs));
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
      const answer = read ? this.#read(collection, id, url.searchParams) : this.#write(request, collection, id, body);
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

  #read(collection, id, query) {
    if (id) return answerOf(this.get(collection, id));
    const since = this.#options.complete ? 0 : Number(query.get("since") ?? 0);
    const limit = Number(query.get("limit"));
    const rows = [...this.rows.values()].filter((row) => row.collection === collection && row.seq > since);
    rows.sort((a, b) => a.seq - b.seq);
    const shown = this.#options.complete ? rows.filter((row) => !row.deleted) : rows.slice(0, limit);
    const items = shown.map(({ id, value, version, updatedAt, deleted }) => ({
      ...value,
      id,
      etag: version,
      updatedAt,
      ...(deleted && { deleted }),
    }));
    if (this.#options.complete) return { status: 200, body: { items, complete: true } };
    return { status: 200, body: { items, next: shown.at(-1)?.seq ?? since, more: rows.length > shown.length } };
  }

  #write(request, collection, id, body) {
    const key = request.headers["idempotency-key"];
    if (this.#options.remembers && this.#remembered.has(key)) return answerOf(this.get(collection, id));
    const row = this.get(collection, id);
    const there = row !== undefined && !row.deleted;
    const { "if-match": match, "if-none-match": none } = request.headers;
    if (none === "*" ? there : there && match !== undefined && match !== row.version) {
      this.conflicts += 1;
      return { status: 412, body: {} };
    }
    if (none !== "*" && !there) return { status: 404, body: {} };
    const { id: _, updatedAt: __, ...value } = body === "" ? {} : JSON.parse(body);
    const refusal = this.check(value);
    if (refusal !== undefined) return { status: 422, body: refusal };
    this.writes.push({ collection, id, method: request.method, value, key });
    this.#remembered.set(key, true);
    const gone = request.method === "DELETE";
    const put = this.put(collection, id, value, gone);
    return gone ? { status: 204, body: "" } : answerOf(put);
  }
}

/** A row as an answer. */
function answerOf(row) {
  if (row === undefined || row.deleted) return { status: 404, body: {} };
  return { status: 200, headers: { etag: row.version }, body: { ...row.value, id: row.id, updatedAt: row.updatedAt } };
}

function send(response, status, body) {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(body === "" ? "" : JSON.stringify(body));
}
