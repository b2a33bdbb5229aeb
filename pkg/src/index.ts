/**
 * Tidewire: offline-first data for web apps. See the README for five minutes of it.
 *
 * Importing this has no side effects, in a browser and on a server alike.
 */
export {
  collection,
  type Collection,
  type CollectionOf,
  type Draft,
  type EditOptions,
  type Entity,
} from "./collection.js";
export type { Conflict, ConflictField, Conflicts, KeepChoice, KeepOptions } from "./conflicts.js";
export { openDb, type Db, type DbBase, type Export } from "./db.js";
export { FACE_CODES, TidewireError, type ErrorCode, type ErrorDetails, type FaceCode } from "./errors.js";
export type { DbEvents, Overwritten, Verdict } from "./events.js";
export type { Encrypt, Encryption } from "./host/vault-key.js";
export type { Json, JsonObject } from "./json.js";
export type { Live, SubscribeOptions } from "./live.js";
export { add, inc, remove, set, unset, type Operator } from "./operators.js";
export type { DbOptions, DbSettings, HealthOptions, Migrations, MigrationStep, TokenReason } from "./options.js";
export type { Path, PathKeys, PathValue } from "./path.js";
export type { Changes } from "./changes.js";
export type { Grouped } from "./folds.js";
export type { BulkResult, Query } from "./query.js";
export type { Ref } from "./refs.js";
export type { Group, Page } from "./sources.js";
export { meta, type AnyRow } from "./rows.js";
export type { InputOf, OutputOf, StandardIssue, StandardResult, StandardSchema } from "./schema.js";
export type { CollectionHealth, CollectionMetrics, Delivery, Health, Metrics } from "./status.js";
export type { PauseReason, Repair } from "./status.js";
export type { QueueEntry, QueueView, SyncStatus } from "./status.js";
export type { Queue, Sync } from "./sync.js";
export type { Transaction, TransactionCollection } from "./transaction.js";
export type {
  CollectionDef,
  CollectionOptions,
  Collections,
  Condition,
  ConflictFunction,
  DeepReadonly,
  FieldPath,
  Meta,
  MetaPath,
  NewEntity,
  NumberPath,
  OrderPath,
  Patch,
  PatchEntries,
  PatchValue,
  Replicate,
  Row,
  Strategy,
  SyncMark,
  Where,
} from "./types.js";
export type { SignInOptions, SignOutOptions } from "./users.js";
export type { WasmOption, WasmSource } from "./wasm/load.js";
export type { MutationName, WireError } from "./wasm/wire.js";
export type { WaitOptions, Write } from "./write.js";
