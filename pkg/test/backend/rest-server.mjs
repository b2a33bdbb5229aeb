/** A plain REST API with ETags, as an app may have one; see `examples/backends/rest-etag.ts`. */
import { FakeServer } from "./fake-server.mjs";

/** @param {{ latencyMs?: number, remembers?: boolean, complete?: boolean }} [options] */
export async function startRest({ latencyMs, remembers = false, complete = false } = {}) {
  const rest = new Rest(latencyMs, remembers, complete);
  await rest.start();
  return rest;
}

class Rest extends FakeServer {
  #remembered = new Set();
  #remembers;
  #complete;

  constructor(latencyMs, remembers, complete) {
    super(latencyMs, { read: (asked) => this.#read(asked), write: (asked) => this.#write(asked) });
    this.#remembers = remembers;
    this.#complete = complete;
  }

  #read({ collection, id, query }) {
    if (id) return answerOf(this.get(collection, id));
    const since = Number(query.get("since") ?? 0);
    const all = this.list(collection).filter((row) => (this.#complete ? !row.deleted : row.seq > since));
    const shown = this.#complete ? all : all.slice(0, Number(query.get("limit")));
    const items = shown.map(({ id, value, version, updatedAt, deleted }) => ({
      ...value,
      id,
      etag: version,
      updatedAt,
      ...(deleted && { deleted }),
    }));
    if (this.#complete) return { status: 200, body: { items, complete: true } };
    return { status: 200, body: { items, next: shown.at(-1)?.seq ?? since, more: all.length > shown.length } };
  }

  #write({ method, headers, collection, id, body }) {
    const key = headers["idempotency-key"];
    if (this.#remembers && this.#remembered.has(key)) return answerOf(this.get(collection, id));
    const row = this.get(collection, id);
    const there = row !== undefined && !row.deleted;
    const { "if-match": match, "if-none-match": none } = headers;
    if (none === "*" ? there : there && match !== undefined && match !== row.version) {
      this.conflicts += 1;
      return { status: 412, body: {} };
    }
    if (none !== "*" && !there) return { status: 404, body: {} };
    const { id: _, updatedAt: __, ...value } = body === "" ? {} : JSON.parse(body);
    const refusal = this.check(value);
    if (refusal !== undefined) return { status: 422, body: refusal };
    this.#remembered.add(key);
    const gone = method === "DELETE";
    const stored = this.store({ collection, id, value, key, method }, gone);
    return gone ? { status: 204, body: "" } : answerOf(stored);
  }
}

/** A row as an answer. */
function answerOf(row) {
  if (row === undefined || row.deleted) return { status: 404, body: {} };
  return { status: 200, headers: { etag: row.version }, body: { ...row.value, id: row.id, updatedAt: row.updatedAt } };
}
