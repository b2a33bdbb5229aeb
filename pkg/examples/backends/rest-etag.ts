/**
 * A plain REST API with ETags as the backend of a database:
 *
 *     GET    /todos?since=…&limit=500   { "items": [{ "id", "etag", "updatedAt", …fields }], "next", "more" }
 *     GET    /todos/1                   { "id", "updatedAt", …fields }, with `ETag`
 *     PUT    /todos/1                   `If-None-Match: *` makes it, `If-Match: "…"` replaces that version, else 412
 *     DELETE /todos/1                   `If-Match: "…"`
 *
 * A PUT answers as the GET would. An item of the list that was deleted has `"deleted": true`.
 *
 * `next` is whatever the server orders changes by. An API that cannot tell what changed answers with everything: then
 * `next` is left out, and the page says `complete`.
 */
import type { Backend, BackendEdit, BackendRow, Json, JsonObject } from "tidewire/backend";
import { BackendError } from "tidewire/backend";

type Item = JsonObject & { readonly id: string };

/** What `GET /todos` answers. */
interface List {
  readonly items: readonly (Item & { readonly etag: string })[];
  readonly next?: Json;
  readonly more?: boolean;
  readonly complete?: boolean;
}

/** What a server can do beside that. */
export interface RestOptions {
  /** The path of server-sent events that say that something changed. */
  readonly events?: string;
  /** Whether it heeds `Idempotency-Key`: a key that it knows is answered with the item as it stands. */
  readonly remembers?: boolean;
}

/** The backend at an address. */
export function restBackend(base: string, { events, remembers = false }: RestOptions = {}): Backend {
  const at = (collection: string, id = ""): string => `${base}/${collection}${id && `/${encodeURIComponent(id)}`}`;

  /** The entity as it stands, or null. */
  async function current({ collection, id, token, signal }: BackendEdit): Promise<BackendRow | null> {
    const response = await fetch(at(collection, id), { headers: headersOf(token), signal, cache: "no-store" });
    if (response.status === 404 || response.status === 410) return null;
    if (!response.ok) throw BackendError.of(response);
    return rowOf((await response.json()) as Item, response.headers.get("etag"));
  }

  return {
    remembers,

    async pull({ collection, since, limit, token, signal }) {
      const query = new URLSearchParams({ limit: String(limit), ...(since !== null && { since: String(since) }) });
      const headers = headersOf(token);
      const response = await fetch(`${at(collection)}?${query}`, { headers, signal, cache: "no-store" });
      if (!response.ok) throw BackendError.of(response);
      const { items, ...rest } = (await response.json()) as List;
      return { rows: items.map(({ etag, ...item }) => rowOf(item as Item, etag)), ...rest };
    },

    async push(edit) {
      const { collection, id, kind, value, ifVersion, key, token, signal } = edit;
      const headers = headersOf(token);
      headers.set("idempotency-key", key);
      if (kind === "insert") headers.set("if-none-match", "*");
      else if (ifVersion !== undefined) headers.set("if-match", ifVersion);
      const body = kind === "delete" ? {} : { method: "PUT", body: JSON.stringify({ id, ...value }) };
      const response = await fetch(at(collection, id), { method: "DELETE", headers, signal, ...body });
      if (response.status === 412 || response.status === 409) return { conflict: await current(edit) };
      if (response.status === 404 || response.status === 410) return { conflict: null };
      if (response.status === 400 || response.status === 422) return { rejected: await refusalOf(response) };
      if (!response.ok) throw BackendError.of(response);
      if (kind === "delete") return {};
      return rowOf((await response.json()) as Item, response.headers.get("etag"));
    },

    ...(events !== undefined && {
      listen: ({ onChange, onLost }) => {
        const source = new EventSource(`${base}${events}`);
        source.onmessage = onChange;
        source.onerror = onLost;
        return () => source.close();
      },
    }),
  };
}

function headersOf(token: string | null): Headers {
  const headers = new Headers({ "content-type": "application/json" });
  if (token !== null) headers.set("authorization", `Bearer ${token}`);
  return headers;
}

/** What is the server's in an item, and what is the entity's. */
function rowOf({ id, updatedAt, deleted, ...value }: Item, version: string | null): BackendRow {
  return {
    id,
    ...(version !== null && { version }),
    ...(typeof updatedAt === "number" && { updatedAt }),
    ...(deleted === true ? { deleted } : { value }),
  };
}

/** Why the server will never take this; by RFC 9457 if it says so. */
async function refusalOf(response: Response): Promise<{ code: "invalid"; message: string; path?: string }> {
  const { detail, pointer } = (await response.json().catch(() => ({}))) as { detail?: string; pointer?: string };
  const message = detail ?? "the server refuses these values";
  return { code: "invalid", message, ...(pointer !== undefined && { path: pointer }) };
}
