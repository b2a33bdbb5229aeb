/** An app's API client as a backend: create, update and remove by entity, with ETags where it has some. */
import { isJsonObject, type Json, type JsonObject } from "../json.js";
import { statusOf } from "../backend/status.js";
import type { Backend, BackendAnswer, BackendEdit, BackendListener } from "../backend/types.js";
import type { BackendPage, BackendRow } from "../backend/types.js";

/** An entity: an id and JSON fields. */
export interface SyncEntity {
  readonly id: string;
  readonly [field: string]: Json;
}

/** An entity with what the API knows about it. */
export interface ApiItem {
  readonly entity: SyncEntity;
  /** What changes with every change: comes back as `ifMatch`. */
  readonly etag?: string;
  /** Milliseconds, or a date as RFC 3339 writes it. */
  readonly updatedAt?: number | string;
  /** The entity was deleted; only its id counts. */
  readonly deleted?: boolean;
}

/** What `list` answers when it can tell what changed. */
export interface ApiPage {
  readonly items: readonly (SyncEntity | ApiItem)[];
  /** Comes back at the next call. */
  readonly cursor?: Json;
  /** There is more at `cursor`. */
  readonly more?: boolean;
}

/** What every call is given. */
export interface ApiCall {
  /** What `auth` gave; null without `auth`. */
  readonly token: string | null;
  readonly signal: AbortSignal;
}

/** What a call that writes is given. */
export interface ApiWrite extends ApiCall {
  /** Write only if the entity still has this ETag, and fail with status 412 otherwise. */
  readonly ifMatch?: string;
  /** The same at every try of this edit: for an `Idempotency-Key` header. */
  readonly key: string;
}

/**
 * The app's API. A call fails by throwing an error with a `status` of HTTP: 409 and 412 are conflicts, 404 means that
 * there is no such entity, 401, 429 and 5xx are waited out, other 4xx are final. One without a status is a connection
 * that broke. A call that writes may answer with what was stored; without an ETag in it, the entity is read.
 */
export interface ApiClient {
  /**
   * What changed since the `cursor` of the answer before, or since the newest `updatedAt` that was seen. An array is
   * everything that there is: what is not in it was deleted.
   */
  list(
    type: string,
    from: ApiCall & { readonly since?: number; readonly cursor?: Json; readonly limit: number },
  ): Promise<readonly (SyncEntity | ApiItem)[] | ApiPage>;
  /** The entity as it stands; null if there is none. */
  get(type: string, id: string, call: ApiCall): Promise<SyncEntity | ApiItem | null>;
  /** The id is the device's own: an entity that has it already is a conflict. */
  create(type: string, entity: SyncEntity, call: ApiWrite): Promise<SyncEntity | ApiItem | void>;
  /** `patch` has the fields that change; null where one goes. */
  update(type: string, id: string, patch: JsonObject, call: ApiWrite): Promise<SyncEntity | ApiItem | void>;
  remove(type: string, id: string, call: ApiWrite): Promise<unknown>;
  /** Calls back when something of these types may have changed; returns how to stop. */
  subscribe?(types: readonly string[], onChange: () => void, onLost: () => void): () => void;
}

interface Position {
  readonly cursor?: Json;
  readonly since?: number;
}

/** The backend that an API client makes. */
export function backendOf(api: ApiClient, remembers: boolean, listens: () => boolean): Backend {
  return {
    remembers,
    pull: async ({ collection, since, limit, token, signal }) => {
      const position = (since ?? {}) as Position;
      const answer = await api.list(collection, { ...position, limit, token, signal });
      return pageOf(answer, position);
    },
    push: (edit) => write(api, edit),
    // Asked for whenever the live channel is made: there is none while real time is off.
    get listen() {
      if (!listens() || api.subscribe === undefined) return undefined as never;
      return ({ collections, onChange, onLost }: BackendListener) =>
        (api.subscribe as NonNullable<ApiClient["subscribe"]>)(collections, onChange, onLost);
    },
  };
}

async function write(api: ApiClient, edit: BackendEdit): Promise<BackendAnswer> {
  const { collection, id, kind, value, changed, ifVersion, key, token, signal } = edit;
  const call: ApiWrite = { key, token, signal, ...(ifVersion !== undefined && { ifMatch: ifVersion }) };
  try {
    if (kind === "delete") return (await api.remove(collection, id, call), {});
    const create = (): Promise<SyncEntity | ApiItem | void> => api.create(collection, { id, ...value }, call);
    const answer = kind === "insert" ? await create() : await api.update(collection, id, changed, call);
    return rowOf(answer ?? (await api.get(collection, id, { token, signal })) ?? { id, ...value });
  } catch (error) {
    const status = statusOf(error);
    if (status !== 409 && status !== 412) throw error;
    const now = await api.get(collection, id, { token, signal });
    return { conflict: now === null ? null : rowOf(now) };
  }
}

function pageOf(answer: readonly (SyncEntity | ApiItem)[] | ApiPage, position: Position): BackendPage {
  if (!("items" in answer)) return { rows: answer.map(rowOf), complete: true };
  const rows = answer.items.map(rowOf);
  const since = rows.reduce((newest, { updatedAt = 0 }) => Math.max(newest, updatedAt), position.since ?? 0);
  const { cursor = position.cursor, more = false } = answer;
  return { rows, next: { since, ...(cursor !== undefined && { cursor }) }, more };
}

function rowOf(item: SyncEntity | ApiItem): BackendRow {
  const given = isItem(item) ? item : { entity: item };
  const { entity, etag, updatedAt, deleted } = given as ApiItem;
  const at = typeof updatedAt === "string" ? Date.parse(updatedAt) : updatedAt;
  return {
    id: entity.id,
    ...(etag !== undefined && { version: etag }),
    ...(at !== undefined && { updatedAt: at }),
    ...(deleted === true ? { deleted } : { value: entity }),
  };
}

/** An entity has an id of its own; what holds one has not. */
function isItem(item: SyncEntity | ApiItem): item is ApiItem {
  return isJsonObject((item as ApiItem).entity) && (item as SyncEntity).id === undefined;
}
