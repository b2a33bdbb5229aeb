/** The classic face: entities and an API client, on the same engine as `openDb`. */
import { backendOf, type ApiClient, type SyncEntity } from "./api.js";
import { LazyConflicts } from "../conflicts.js";
import { DbCollection } from "../collection.js";
import { openWith, SESSION, type Db } from "../db.js";
import { applyDiff, diff, merge, toJsonPatch, toMergePatch } from "../diff/index.js";
import { TidewireError } from "../errors.js";
import { isBrowser } from "../env.js";
import type { JsonObject } from "../json.js";
import type { Live } from "../live.js";
import type { DbSettings } from "../options.js";
import type { StandardSchema } from "../schema.js";
import type { Session } from "../session.js";
import type { QueueEntry, SyncStatus } from "../status.js";
import type { Collections, Strategy } from "../types.js";
import { wasmFactory, type ClientFactory } from "../wasm/client.js";
import type { MutationName } from "../wasm/wire.js";
import type { WaitOptions, Write } from "../write.js";

/** Options of a service; those of `openDb` that fit. */
export interface ServiceOptions extends Omit<DbSettings, "name" | "url" | "backend" | "allowInsecure"> {
  /** Names the store on this device; "service". */
  readonly name?: string;
  /** Types that are kept from the start. Others are kept from their first use on. */
  readonly types?: readonly string[];
  /** Whether the API stores an edit with a `key` that it knows once. */
  readonly remembers?: boolean;
}

/** One edit that waits, or that the API refused. */
export interface SyncOperation {
  readonly type: string;
  readonly id: string;
  readonly kind: "create" | "update" | "remove";
  readonly status: QueueEntry["status"];
  readonly at: number;
  readonly attempts: number;
  readonly error?: { readonly code: string; readonly message: string; readonly path?: string };
  /** Its name for `retry` and `discard`; null until it is stored. */
  readonly n: MutationName | null;
}

/** What waits for the API, and what it refused. */
export interface OfflineQueue {
  pending(): Promise<readonly SyncOperation[]>;
  failed(): Promise<readonly SyncOperation[]>;
  /** Sends an operation again that was refused. */
  retry(operation: SyncOperation): Promise<void>;
  /** Gives an operation up. */
  discard(operation: SyncOperation): Promise<void>;
}

/** What changed between two entities, and what two edits of one come to. */
export interface DiffCalculator {
  readonly diff: typeof diff;
  readonly applyDiff: typeof applyDiff;
  readonly merge: typeof merge;
  readonly toMergePatch: typeof toMergePatch;
  readonly toJsonPatch: typeof toJsonPatch;
}

/** Entities as they change. */
export interface RealTimeSync {
  readonly enabled: boolean;
  /**
   * Calls `fn` for each entity of a type that is here, and for each that changes, by this tab or anybody else;
   * `removed` for one that is gone. Returns how to stop.
   */
  subscribe(type: string, fn: (entity: SyncEntity, removed: boolean) => void): () => void;
}

/** See {@link createSyncService}. */
export interface SyncService {
  /**
   * Stores the entity here and sends it to the API. Where there is no connection it resolves with the local version as
   * soon as that is durable, else when the API has stored it; if the API refuses, it rejects with the reason. Without
   * an `id` the entity gets one.
   */
  syncEntity<E extends object>(type: string, entity: E): Promise<E & SyncEntity>;
  removeEntity(type: string, id: string): Promise<void>;
  getEntity(type: string, id: string): Promise<SyncEntity | undefined>;
  getEntities(type: string): Promise<readonly SyncEntity[]>;
  /** Whether the API was reached at the last try. */
  isOnline(): boolean;
  /** Lets the API say when something changes, by its `subscribe`; without, it is asked from time to time. */
  enableRealTime(): void;
  disableRealTime(): void;
  /** How concurrent edits of a type are settled; before its first use, or at any time. */
  setConflictStrategy(type: string, strategy: Strategy): void;
  readonly realTime: RealTimeSync;
  readonly queue: OfflineQueue;
  readonly diff: DiffCalculator;
  readonly status: Live<SyncStatus>;
  /** Sends and reads everything now; rejects `offline`, `paused` or `timeout`. */
  sync(options?: WaitOptions): Promise<void>;
  close(): Promise<void>;
}

/** Keeps entities of an app's API on the device and in step with it. */
export function createSyncService(api: ApiClient, options: ServiceOptions = {}): SyncService {
  return serviceWith(api, options, isBrowser() ? wasmFactory(options.wasm) : undefined);
}

/** {@link createSyncService} with another maker of clients: for the tests of this package. */
export function serviceWith(api: ApiClient, options: ServiceOptions, factory: ClientFactory | undefined): SyncService {
  return new Service(api, options, factory);
}

/** Entities are what the API says they are. */
const ANY: StandardSchema<JsonObject> = {
  "~standard": { version: 1, vendor: "tidewire", validate: (value) => ({ value: value as JsonObject }) },
};
const STRATEGIES: readonly string[] = ["last-write-wins", "merge", "client-wins", "server-wins"];
/** Codes of a wait that ended without an answer: the edit stays queued. */
const UNANSWERED: readonly string[] = ["offline", "paused", "timeout", "closed"];

type Entities = DbCollection<JsonObject, JsonObject>;

class Service implements SyncService {
  readonly realTime: RealTimeSync;
  readonly queue: OfflineQueue;
  readonly diff: DiffCalculator = Object.freeze({ diff, applyDiff, merge, toMergePatch, toJsonPatch });
  readonly #db: Db<Collections>;
  readonly #session: Session;
  readonly #types = new Map<string, Promise<Entities>>();
  #realTime = false;

  constructor(api: ApiClient, options: ServiceOptions, factory: ClientFactory | undefined) {
    const { name = "service", types = [], remembers = false, ...settings } = options;
    const live = (): boolean => this.#realTime;
    const backend = backendOf(api, remembers, live);
    const collections = Object.fromEntries(types.map((type) => [type, ANY]));
    this.#db = openWith({ ...settings, name, backend, collections }, factory);
    this.#session = (this.#db as unknown as { readonly [SESSION]: Session })[SESSION];
    this.realTime = Object.freeze({
      get enabled() {
        return live();
      },
      subscribe: (type: string, fn: (entity: SyncEntity, removed: boolean) => void) => this.#subscribe(type, fn),
    });
    this.queue = queueOf(this.#db);
  }

  get status(): Live<SyncStatus> {
    return this.#db.sync.status;
  }

  async syncEntity<E extends object>(type: string, entity: E): Promise<E & SyncEntity> {
    const entities = await this.#entities(type);
    const write = entities.upsert(entity as never);
    await write;
    // What changed nothing has no verdict.
    if (entities.peek(write.id)?.$sync.status !== "synced") await this.#settled(write, type);
    return ((await entities.get(write.id)) ?? { ...entity, id: write.id }) as unknown as E & SyncEntity;
  }

  async removeEntity(type: string, id: string): Promise<void> {
    const entities = await this.#entities(type);
    if ((await entities.get(id)) === undefined) return;
    const write = entities.delete(id);
    await write;
    await this.#settled(write, type);
  }

  async getEntity(type: string, id: string): Promise<SyncEntity | undefined> {
    return (await (await this.#entities(type)).get(id)) as unknown as SyncEntity | undefined;
  }

  async getEntities(type: string): Promise<readonly SyncEntity[]> {
    return (await (await this.#entities(type)).where({}).get()) as unknown as readonly SyncEntity[];
  }

  isOnline(): boolean {
    const state = this.#db.sync.status.peek()?.state;
    return state === "synced" || state === "syncing";
  }

  enableRealTime(): void {
    this.#setRealTime(true);
  }

  disableRealTime(): void {
    this.#setRealTime(false);
  }

  setConflictStrategy(type: string, strategy: Strategy): void {
    if (!STRATEGIES.includes(strategy)) {
      const known = STRATEGIES.join(", ");
      throw new TidewireError("bad-config", `A conflict of "${type}" is settled by one of: ${known}.`);
    }
    const { config } = this.#session;
    const { conflict: _, ...rest } = config.collections[type] ?? {};
    this.#types.set(type, this.#declare(type, { ...rest, conflict: strategy }));
  }

  sync(options?: WaitOptions): Promise<void> {
    return this.#db.sync.now(options);
  }

  close(): Promise<void> {
    return this.#db.close();
  }

  /** Waits for the API where it can be reached. */
  async #settled(write: Write, type: string): Promise<void> {
    if (!this.isOnline()) return;
    const verdict = await write.server().catch((error: unknown) => {
      if (error instanceof TidewireError && UNANSWERED.includes(error.code)) return undefined;
      throw error;
    });
    if (verdict?.verdict !== "rejected") return;
    const { code, message, path } = verdict;
    throw new TidewireError(code, message, { path, collection: type, id: write.id });
  }

  #entities(type: string): Promise<Entities> {
    let entities = this.#types.get(type);
    if (entities === undefined) {
      entities = this.#declare(type, this.#session.config.collections[type]);
      this.#types.set(type, entities);
    }
    return entities;
  }

  /** Keeps a type from now on. Instances that are made later are told by the configuration. */
  #declare(type: string, settings: JsonObject = {}): Promise<Entities> {
    const { config } = this.#session;
    (config.collections as { [name: string]: JsonObject })[type] = settings;
    const entities = this.#tell(type, settings);
    // Who uses the type hears of it; until then nobody does.
    entities.catch(() => this.#types.get(type) === entities && this.#types.delete(type));
    return entities;
  }

  async #tell(type: string, settings: JsonObject): Promise<Entities> {
    await this.#session.whenWhole();
    const command = JSON.stringify({ do: "declare", collections: { [type]: settings } });
    this.#session.call((client) => client.command(command));
    const conflicts = new LazyConflicts(this.#session, () => undefined);
    const target = { name: type, schema: ANY, hidden: [] };
    return new DbCollection<JsonObject, JsonObject>(this.#session, type, () => target, conflicts);
  }

  #setRealTime(enabled: boolean): void {
    if (this.#realTime === enabled) return;
    this.#realTime = enabled;
    // The channel is made anew, with or without what the API says.
    const { sync } = this.#db;
    sync.pause().then(
      () => sync.resume(),
      () => undefined,
    );
  }

  #subscribe(type: string, fn: (entity: SyncEntity, removed: boolean) => void): () => void {
    let known = new Map<string, SyncEntity>();
    let stop: (() => void) | undefined = () => undefined;
    const told = (rows: readonly SyncEntity[]): void => {
      const now = new Map(rows.map((row) => [row.id, row]));
      const before = known;
      known = now;
      for (const [id, row] of before) if (!now.has(id)) fn(row, true);
      for (const [id, row] of now) if (before.get(id) !== row) fn(row, false);
    };
    void this.#entities(type).then(
      (entities) => {
        if (stop === undefined) return;
        stop = entities.where({}).subscribe((rows) => told(rows as unknown as readonly SyncEntity[]));
      },
      () => undefined,
    );
    return () => {
      stop?.();
      stop = undefined;
    };
  }
}

const KINDS: { readonly [kind: string]: SyncOperation["kind"] | undefined } = { insert: "create", delete: "remove" };

function queueOf({ sync }: Db<Collections>): OfflineQueue {
  const operations = (entries: readonly QueueEntry[]): readonly SyncOperation[] =>
    entries.map(({ collection, id, kind, status, at, attempts, error, n }) => ({
      ...{ type: collection, id, kind: KINDS[kind] ?? "update", status, at, attempts, n },
      ...(error !== undefined && { error }),
    }));
  const named = ({ n }: SyncOperation): MutationName => {
    if (n !== null) return n;
    throw new TidewireError("not-in-queue", "This operation is not stored yet: wait a moment.", { retryable: true });
  };
  return Object.freeze({
    pending: async () => operations((await sync.queue.get()).pending),
    failed: async () => operations((await sync.queue.get()).failed),
    retry: async (operation: SyncOperation) => void (await sync.queue.retry(named(operation))),
    discard: (operation: SyncOperation) => sync.queue.discard(named(operation)),
  });
}
