/**
 * A database behind PostgREST as the backend of a database here; `postgrest.sql` has the tables.
 *
 *     GET   /todos_changes?or=(…)&order=changed,id&limit=500
 *     POST  /todos                                              inserts
 *     PATCH /todos?id=eq.1&version=eq.7&deleted=is.false        updates that version, else answers with no row
 *
 * A delete sets `deleted`. The headers `X-Replica` and `X-Edit` name the edit; a trigger stores that name in the
 * transaction of the write, so that an edit whose answer was lost is not stored twice.
 */
import type { Backend, BackendAnswer, BackendEdit, BackendRow, Json, JsonObject } from "tidewire/backend";
import { BackendError } from "tidewire/backend";

type Columns = JsonObject & {
  readonly id: string;
  readonly version: number;
  readonly updated_at: string;
  readonly deleted: boolean;
  readonly changed: number;
};

/** SQLSTATE of a unique constraint that does not hold. */
const NOT_UNIQUE = "23505";

/** The backend at the address of a PostgREST. */
export function postgrestBackend(base: string): Backend {
  async function call(path: string, edit: Request, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers({ "content-type": "application/json", prefer: "return=representation" });
    if (edit.token !== null) headers.set("authorization", `Bearer ${edit.token}`);
    if (edit.replica !== undefined) headers.set("x-replica", edit.replica);
    if (edit.n !== undefined) headers.set("x-edit", edit.n.join("."));
    return fetch(`${base}/${path}`, { ...init, headers, signal: edit.signal, cache: "no-store" });
  }

  /** The row as it stands, or null. */
  async function current({ collection, id, token, signal }: BackendEdit): Promise<BackendRow | null> {
    const response = await call(`${collection}?id=eq.${quoted(id)}`, { token, signal });
    if (!response.ok) throw BackendError.of(response);
    const [row] = (await response.json()) as Columns[];
    return row === undefined ? null : rowOf(row);
  }

  /** No row matched: it has another version, or this very edit was stored and others came after it. */
  async function unmatched(edit: BackendEdit): Promise<BackendAnswer> {
    const { token, signal, replica, n } = edit;
    const response = await call(`edits?replica=eq.${replica}&n=eq.${n.join(".")}`, { token, signal });
    if (!response.ok) throw BackendError.of(response);
    const [now, found] = [await current(edit), (await response.json()) as unknown[]];
    return now !== null && found.length > 0 ? now : { conflict: now };
  }

  /** The write that an edit is: of a row that must not be there, or of the version that must stand. */
  function send(edit: BackendEdit): Promise<Response> {
    const { collection, id, kind, value, changed, ifVersion } = edit;
    const post = { method: "POST", body: JSON.stringify({ id, ...value }) };
    if (kind === "insert" && ifVersion === undefined) return call(collection, edit, post);
    const body = kind === "delete" ? { deleted: true } : kind === "insert" ? { ...value, deleted: false } : changed;
    const where = `id=eq.${quoted(id)}&deleted=is.${kind === "insert"}`;
    const version = ifVersion === undefined ? "" : `&version=eq.${ifVersion}`;
    return call(`${collection}?${where}${version}`, edit, { method: "PATCH", body: JSON.stringify(body) });
  }

  return {
    remembers: true,

    async pull({ collection, since, limit, token, signal }) {
      const after = since === null ? "" : `&or=${encodeURIComponent(beyond(since as [number, string]))}`;
      const path = `${collection}_changes?order=changed.asc,id.asc&limit=${limit}${after}`;
      const response = await call(path, { token, signal });
      if (!response.ok) throw BackendError.of(response);
      const rows = (await response.json()) as Columns[];
      const last = rows.at(-1);
      const next: Json = last === undefined ? since : [last.changed, last.id];
      return { rows: rows.map(rowOf), next, more: rows.length === limit };
    },

    async push(edit) {
      const response = await send(edit);
      if (response.ok) {
        const [row] = (await response.json()) as Columns[];
        return row === undefined ? unmatched(edit) : rowOf(row);
      }
      const { code, message = "", details } = (await response.json().catch(() => ({}))) as Failure;
      const now = code === NOT_UNIQUE ? await current(edit) : undefined;
      // This very edit was stored before: it stands, and perhaps others after it.
      if (now && message.includes("edits_once")) return now;
      if (now?.deleted === true && edit.kind === "insert") return this.push({ ...edit, ...replacing(now, edit) });
      if (now !== undefined) return { conflict: now };
      const why = details ?? message;
      // A constraint, or a value that does not fit its column.
      if (code?.startsWith("23") === true || code?.startsWith("22") === true)
        return { rejected: { code: "invalid", message: why } };
      throw BackendError.of(response, why || undefined);
    },
  };
}

/** What every call is given, and an edit besides. */
type Request = Pick<BackendEdit, "token" | "signal"> & Partial<Pick<BackendEdit, "replica" | "n">>;

/** How PostgREST says no. */
interface Failure {
  readonly code?: string;
  readonly message?: string;
  readonly details?: string;
}

function rowOf({ id, version, updated_at, deleted, changed: _, ...columns }: Columns): BackendRow {
  const value = Object.fromEntries(Object.entries(columns).filter(([, column]) => column !== null));
  const about = { id, version: String(version), updatedAt: Date.parse(updated_at) };
  return { ...about, value, deleted };
}

/** An insert over a row that was deleted: of that version, and without the fields that it had. */
function replacing(row: BackendRow, edit: BackendEdit): Pick<BackendEdit, "ifVersion" | "value"> {
  const { version = "", value = {} } = row;
  const gone = Object.fromEntries(Object.keys(value).map((column) => [column, null]));
  return { ifVersion: version, value: { ...gone, ...edit.value } };
}

/** The rows behind a place in the order of changes. */
function beyond([changed, id]: [number, string]): string {
  return `(changed.gt.${changed},and(changed.eq.${changed},id.gt.${JSON.stringify(id)}))`;
}

/** A value in a filter. */
function quoted(text: string): string {
  return encodeURIComponent(text);
}
