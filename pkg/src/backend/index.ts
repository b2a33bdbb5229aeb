/** For backends of an app's own: what they throw, and the types of what they do. */
export type { Json, JsonObject } from "../json.js";
export { BackendError } from "./error.js";
export type {
  Backend,
  BackendAnswer,
  BackendCall,
  BackendConflict,
  BackendEdit,
  BackendListener,
  BackendPage,
  BackendPull,
  BackendRejection,
  BackendRow,
  BackendStored,
  Rate,
} from "./types.js";
