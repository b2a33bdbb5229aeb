/** The classic face: `createSyncService(apiClient)`. */
export type { ApiCall, ApiClient, ApiItem, ApiPage, ApiWrite, SyncEntity } from "./api.js";
export {
  createSyncService,
  type DiffCalculator,
  type OfflineQueue,
  type RealTimeSync,
  type ServiceOptions,
  type SyncOperation,
  type SyncService,
} from "./service.js";
export { BackendError } from "../backend/error.js";
export { TidewireError } from "../errors.js";
export type { Json, JsonObject } from "../json.js";
