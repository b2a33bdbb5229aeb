/** What `cargo xtask build` puts beside the compiled loader; the generated file has the same exports. */
import type { ModuleClass } from "../host/module.js";

export default function init(input: { module_or_path: WebAssembly.Module }): Promise<unknown>;
/** Replaces the instance by a fresh one: after a trap the old one cannot be used. */
export function __wbg_reset_state(): void;
export const Client: ModuleClass;
