/**
 * A small server that speaks as much of PostgREST as `examples/backends/postgrest.ts` asks for, with the triggers of
 * `postgrest.sql`: filters in the query, `Prefer: return=representation`, errors with the codes of PostgreSQL.
 */
import { FakeServer } from "./fake-server.mjs";

/** @param {{ latencyMs?: number }} [options] */
export async function startPostgrest({ latencyMs } = {}) {
  const server = new Postgrest(latencyMs);
  await server.start();
  return server;
}

class Postgrest extends FakeServer {
  #edits = new Set();

  constructor(latencyMs) {
    super(latencyMs, { read: (asked) => this.#read(asked), write: (asked) => this.#write(asked) });
  }

  #read({ collection, query }) {
    if (collection === "edits") {
      const name = [query.get("replica"), query.get("n")].map((text) => text?.slice("eq.".length)).join(".");
      return { status: 200, body: this.#edits.has(name) ? [{ n: name }] : [] };
    }
    const table = collection.replace(/_changes$/, "");
    const rows = this.list(table).map(columnsOf).filter(filterOf(query));
    const order = query.get("order");
    if (order !== null && order !== "changed.asc,id.asc") return failure(400, "PGRST100", `no such order: ${order}`);
    return { status: 200, body: rows.slice(0, Number(query.get("limit") ?? Infinity)) };
  }

  #write({ method, headers, collection, query, body }) {
    if (headers.prefer !== "return=representation") return failure(400, "PGRST122", "ask for the representation");
    const given = JSON.parse(body);
    const unknown = Object.keys(given).find((column) => column === "changed" || column === "version");
    if (unknown !== undefined) return failure(400, "PGRST204", `${unknown} is not the client's`);
    if (method === "POST") return this.#insert(collection, given, headers);
    if (method !== "PATCH") return failure(405, "PGRST117", `${method} is not what the example sends`);
    const [row] = this.list(collection).filter((candidate) => filterOf(query)(columnsOf(candidate)));
    if (row === undefined) {
      if (query.has("version")) this.conflicts += 1;
      return { status: 200, body: [] };
    }
    return this.#store(collection, row.id, { ...row.value, ...given }, headers, 200);
  }

  #insert(collection, { id, ...columns }, headers) {
    // The trigger runs before the row is put in place.
    const once = this.#once(headers);
    if (once !== undefined) return once;
    if (this.get(collection, id) === undefined) return this.#store(collection, id, columns, headers, 201);
    this.conflicts += 1;
    return failure(409, "23505", `duplicate key value violates unique constraint "${collection}_pkey"`);
  }

  #store(collection, id, { deleted = false, ...columns }, headers, status) {
    const once = this.#once(headers);
    if (once !== undefined) return once;
    const value = Object.fromEntries(Object.entries(columns).filter(([, column]) => column !== null));
    const refusal = this.check(value);
    if (refusal !== undefined) return failure(400, "23514", refusal.detail);
    const key = `${headers["x-replica"]}.${headers["x-edit"]}`;
    this.#edits.add(key);
    const row = this.store({ collection, id, value, key }, deleted);
    return { status, body: [columnsOf(row)] };
  }

  #once(headers) {
    if (!this.#edits.has(`${headers["x-replica"]}.${headers["x-edit"]}`)) return undefined;
    return failure(409, "23505", 'duplicate key value violates unique constraint "edits_once"');
  }
}

/** A row with the columns that every table has; a version is a number. */
function columnsOf({ id, value, version, updatedAt, deleted, seq }) {
  const at = new Date(updatedAt).toISOString();
  return { hidden: null, ...value, id, version: Number(version.slice(1, -1)), updated_at: at, deleted, changed: seq };
}

/** The filters of a query, as far as the example uses them. */
function filterOf(query) {
  const tests = [];
  for (const [name, text] of query) {
    if (["order", "limit", "select"].includes(name)) continue;
    const beyond = /^\(changed\.gt\.(\d+),and\(changed\.eq\.(\d+),id\.gt\.(".*")\)\)$/.exec(text);
    const [operator, value] = [text.slice(0, text.indexOf(".")), text.slice(text.indexOf(".") + 1)];
    if (name === "or" && beyond !== null) {
      const [, changed, same, id] = beyond;
      const after = JSON.parse(id);
      tests.push((row) => row.changed > Number(changed) || (row.changed === Number(same) && row.id > after));
    } else if (operator === "eq" || operator === "is") tests.push((row) => String(row[name]) === value);
    else throw new Error(`no such filter: ${name}=${text}`);
  }
  return (row) => tests.every((test) => test(row));
}

function failure(status, code, message) {
  return { status, body: { code, message } };
}
