/** The options of `openDb`, checked and turned into what the wasm class takes. */
import type { Backend, Rate } from "./backend/types.js";
import { TidewireError } from "./errors.js";
import type { Encrypt } from "./host/vault-key.js";
import { cleanJson, type Json, type JsonObject } from "./json.js";
import { toPointer } from "./path.js";
import { partOf } from "./replicate.js";
import { isRowKey } from "./rows.js";
import type { StandardSchema } from "./schema.js";
import type { Delivery } from "./status.js";
import type { AnyCollectionOptions, CollectionDef, Collections, CollectionsCheck } from "./types.js";
import type { WasmOption } from "./wasm/load.js";
import type { ClientConfig } from "./wasm/wire.js";

/** Why a token is asked for. */
export type TokenReason = "start" | "expiring" | "rejected";

/** Options that do not depend on the collections. */
export interface DbSettings {
  /** Names the store on this device: one name, one database. */
  readonly name: string;
  /** The server. Leave it out for a database that stays on the device. */
  readonly url?: string;
  /** In place of `url`: a backend of your own. See the README. */
  readonly backend?: Backend;
  /** How fast a `backend` may be called. */
  readonly rate?: Rate;
  /**
   * Gives the token for the server; null: signed out, syncing pauses. `user` is the one of `db.signIn`, or null; never
   * give it a token of another user.
   */
  readonly auth?: (why: TokenReason, user: string | null) => string | null | Promise<string | null>;
  readonly storage?: "indexeddb" | "memory";
  /**
   * Whether the browser is asked, after the first write of a page, to keep what is stored when the device runs short of
   * room (default). Firefox then asks the user.
   */
  readonly persist?: boolean;
  /** `strict` (default): a write that has resolved survives a power cut. */
  readonly durability?: "strict" | "relaxed";
  /**
   * Encrypts what is stored on this device. A function is asked each time that a store is opened, for its user (null:
   * nobody). Who has lost the key has lost what was not synced.
   */
  readonly encrypt?: Encrypt;
  /** With `encrypt`: the sensitive fields of collections are stored like all others. */
  readonly sensitive?: "encrypted";
  /** How long one request, `server()` and `now()` may take; 10,000. */
  readonly timeoutMs?: number;
  readonly retry?: { readonly initialMs?: number; readonly maxMs?: number };
  readonly batch?: { readonly maxCount?: number; readonly maxBytes?: number };
  /** How often to ask where no socket can be had. */
  readonly pollMs?: { readonly visible?: number; readonly hidden?: number };
  /** How often to compare this device's data with the server's; 3,600,000. What differs is read again. */
  readonly verifyMs?: number;
  readonly maxDocumentBytes?: number;
  /** Bytes of synced documents that lie unpacked in a tab's memory; 100,663,296. The others are unpacked to be read. */
  readonly memoryBytes?: number;
  readonly health?: HealthOptions;
  /** The version of your collections' schemas; 1. Edits say under which they were written. */
  readonly version?: number;
  /** The way to it: what was queued under an older version is brought to this one before it is sent. */
  readonly migrations?: Migrations;
  /** Where the WebAssembly module is, if it is not where the bundler put it. */
  readonly wasm?: WasmOption;
  /** Allow `http:` and `ws:` to hosts other than this machine. Everything then travels in clear text. */
  readonly allowInsecure?: boolean;
}

/**
 * For each version from 2, or a later one, up to the present one, the steps that lead to it, by collection; `{}` where
 * nothing changes. What is older than the first of them, and what the steps do not say, becomes a dead letter with the
 * code `migration`.
 */
export interface Migrations {
  readonly [version: number]: { readonly [collection: string]: readonly MigrationStep[] };
}

/** A field by its path: keys with dots between them, or a list of keys. */
type FieldPath = string | readonly string[];

/**
 * What becomes of one field. It is renamed within its object; only top-level fields are removed, or get a value where
 * they had none.
 */
export type MigrationStep =
  | { readonly rename: FieldPath; readonly to: FieldPath }
  | { readonly remove: FieldPath }
  | { readonly default: FieldPath; readonly value: Json };

/** When `db.sync.health` is not healthy, and when the watchdog acts. */
export interface HealthOptions {
  /** Share of failed requests; 0.2. */
  readonly errorRate?: number;
  /** Edits that do not get through; 10. */
  readonly stuck?: number;
  /** Age of the last sync, and of the oldest edit; 3,600,000. */
  readonly lastSyncMs?: number;
  /**
   * How long the oldest edit may wait while the server answers; 300,000, and never less than twice `timeoutMs`. Then
   * the connection is made anew.
   */
  readonly pendingMs?: number;
}

/** What `openDb` takes. */
export type DbOptions<C extends Collections> = DbSettings & { readonly collections: C & CollectionsCheck<C> };

/** A collection's parts. */
export interface CollectionParts {
  readonly schema: StandardSchema;
  readonly options: AnyCollectionOptions;
}

const RESERVED: ReadonlySet<string> = new Set([
  "sync",
  "transaction",
  "on",
  "close",
  "erase",
  "export",
  "import",
  "signIn",
  "signOut",
  "context",
  "$conflicts",
  "then",
]);
/** The token of a database without `auth` before a backend: the engine sends nothing without one. */
export const NO_TOKEN = "-";
const PASSED_ON = [
  ...(["timeoutMs", "retry", "batch", "pollMs", "verifyMs"] as const),
  ...(["maxDocumentBytes", "memoryBytes", "health", "persist"] as const),
  ...(["version", "migrations"] as const),
];

/** The collections of a configuration, validator and options apart. */
export function partsOf(collections: Collections): ReadonlyMap<string, CollectionParts> {
  return new Map(
    Object.entries(collections).map(([name, given]) => {
      if (RESERVED.has(name))
        throw badConfig(`"${name}" is a name of the database itself; choose another.`);
      const parts = "~standard" in given ? { schema: given, options: {} } : (given as CollectionDef);
      if (typeof parts.schema?.["~standard"]?.validate !== "function") {
        throw badConfig(
          `The collection "${name}" needs a Standard Schema: of Zod or Valibot, for instance.`,
        );
      }
      return [name, parts];
    }),
  );
}

/** What the wasm class is configured with. Two configurations are equal if this is. */
export function clientConfig(settings: DbSettings, parts: ReadonlyMap<string, CollectionParts>): ClientConfig {
  if (typeof settings.name !== "string" || settings.name === "")
    throw badConfig("openDb() needs a name for the store on this device.");
  if (settings.backend !== undefined) checkCollections(parts);
  checkSensitive(settings, parts);
  const passed = PASSED_ON.filter((key) => settings[key] !== undefined).map((key) => [key, cleanJson(settings[key])]);
  return {
    name: settings.name,
    url: peerOf(settings),
    ...(settings.backend && { delivery: deliveryOf(settings.backend), rate: rateOf(settings.rate) }),
    storage: settings.storage ?? "indexeddb",
    durability: settings.durability ?? "strict",
    ...(settings.encrypt && { encrypt: true }),
    ...(hidesFields(settings, parts) && { sensitive: asideOf(settings, parts) }),
    collections: Object.fromEntries([...parts].map(([name, { options }]) => [name, collectionConfig(name, options)])),
    ...(Object.fromEntries(passed) as JsonObject),
  };
}

function collectionConfig(name: string, options: AnyCollectionOptions): JsonObject {
  // Natural keys are the server's: nothing here is decided by them.
  const { fields, refs, conflict, local, naturalKey: _, replicate = "full", ...rest } = options;
  const byPointer = Object.entries(fields ?? {})
    .filter(([, strategy]) => strategy !== undefined)
    .map(([path, strategy]) => [toPointer(path), strategy]);
  return cleanJson({
    ...rest,
    // The server parks for a function, too: to it the two are one.
    ...(conflict === undefined ? {} : { conflict: typeof conflict === "function" ? "manual" : conflict }),
    ...(byPointer.length > 0 ? { fields: Object.fromEntries(byPointer) } : {}),
    ...(local === undefined ? {} : { local: local.map(toPointer) }),
    ...(replicate === "full" ? {} : { replicate: partOf(name, replicate, local?.map(toPointer)) }),
    ...(refs === undefined
      ? {}
      : { refs: Object.fromEntries(Object.entries(refs).map(([path, ref]) => [toPointer(path), ref])) }),
  }) as JsonObject;
}

/** What hides nothing would do so in silence. */
function checkSensitive({ sensitive: how }: DbSettings, parts: ReadonlyMap<string, CollectionParts>): void {
  if (how !== undefined && how !== "encrypted")
    throw badConfig('openDb() takes `sensitive: "encrypted"` together with `encrypt`, or no `sensitive`.');
  for (const [name, { options }] of parts) {
    const { sensitive = [] }: { readonly sensitive?: unknown } = options;
    if (!Array.isArray(sensitive) || new Set(sensitive).size < sensitive.length || !sensitive.every(isField))
      throw badConfig(`"${name}": \`sensitive\` is a list of fields, each named once: ["ssn", "address.street"].`);
  }
}

function isField(path: unknown): boolean {
  const keys = typeof path === "string" ? path.split(".") : [""];
  return !keys.includes("") && !isRowKey(keys[0] as string);
}

/** Whether there are fields that must not be stored (`host/sensitive.ts`, which knows what they need). */
function hidesFields(settings: DbSettings, parts: ReadonlyMap<string, CollectionParts>): boolean {
  const { sensitive, encrypt, storage } = settings;
  const stores = storage === "memory" || (sensitive && encrypt);
  return !stores && [...parts.values()].some(({ options }) => options.sensitive?.length);
}

/** What is kept in memory for sensitive fields has the whole collection, and nothing that outlives the page. */
function asideOf({ sensitive }: DbSettings, parts: ReadonlyMap<string, CollectionParts>): string {
  const need = '`local` and `replicate` beside `sensitive` fields need `encrypt` with `sensitive: "encrypted"`';
  for (const [name, { options }] of parts)
    if (options.sensitive?.length && (options.local?.length || (options.replicate ?? "full") !== "full"))
      throw badConfig(`"${name}": ${need}.`);
  return sensitive ?? "unstored";
}

/** The address of the server, or what stands for a backend. */
function peerOf({ url, backend, rate, allowInsecure }: DbSettings): string | null {
  if (backend === undefined) {
    if (rate !== undefined) throw badConfig("`rate` is for a `backend`; a server of Tidewire gets edits in batches.");
    return url === undefined ? null : checkedUrl(url, allowInsecure === true);
  }
  if (url !== undefined) throw badConfig("Give openDb() a `url` or a `backend`, not both.");
  if (typeof backend.pull !== "function" || typeof backend.push !== "function")
    throw badConfig("A `backend` has the functions `pull` and `push`, and may have `listen`.");
  return "backend:";
}

/** Before a backend nothing can wait for its author: there is nowhere to keep it. */
function checkCollections(parts: ReadonlyMap<string, CollectionParts>): void {
  for (const [name, { options }] of parts) {
    const strategies: readonly unknown[] = [options.conflict, ...Object.values(options.fields ?? {})];
    if (strategies.some((strategy) => strategy === "manual" || typeof strategy === "function"))
      throw badConfig(`"${name}": with a \`backend\` the strategy is neither "manual" nor a function.`);
    // Nobody there is asked for one row.
    if ((options.replicate ?? "full") !== "full")
      throw badConfig(`"${name}": with a \`backend\` all of a collection is kept; leave \`replicate\` out.`);
  }
}

function deliveryOf(backend: Backend): Delivery {
  return backend.remembers === true ? "exactly-once" : "at-least-once";
}

function rateOf({ minIntervalMs = 0, concurrency }: Rate = {}): JsonObject {
  const bad = !(minIntervalMs >= 0) || (concurrency !== undefined && !(concurrency >= 1));
  if (bad) throw badConfig("`rate` is { minIntervalMs: 0 or more, concurrency: 1 or more }.");
  return { minIntervalMs, ...(concurrency === undefined ? {} : { concurrency }) };
}

function checkedUrl(text: string, allowInsecure: boolean): string {
  let url: URL;
  try {
    url = new URL(text, globalThis.location?.href);
  } catch (cause) {
    throw badConfig(`The url ${JSON.stringify(text)} is no address; write "https://…".`, cause);
  }
  const secure = url.protocol === "https:" || url.protocol === "wss:";
  if (!secure && url.protocol !== "http:" && url.protocol !== "ws:")
    throw badConfig(`The url ${JSON.stringify(text)} must begin with https:.`);
  if (!secure && !allowInsecure && !isLoopback(url.hostname)) {
    throw new TidewireError(
      "insecure-url",
      `${url.origin} would carry tokens in clear text. ` +
        "Use https:, or allowInsecure in a network that you trust.",
    );
  }
  const http = url.protocol.replace(/^ws/, "http");
  return `${http}//${url.host}${url.pathname.replace(/\/+$/, "")}`;
}

/** Hosts that are this machine: nothing leaves it. */
function isLoopback(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}

function badConfig(message: string, cause?: unknown): TidewireError {
  return new TidewireError("bad-config", message, { cause });
}
