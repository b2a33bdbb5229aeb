/**
 * Finds the bytes of the wasm module's two parts, the main one and the second one, which comes behind it: the `wasm`
 * option, then the file beside this package, then the inlined copy.
 *
 * Bundlers differ in whether they carry `new URL("…", import.meta.url)` along; one that does not usually answers with
 * an HTML page, hence the check of the first four bytes. Nothing here runs at import.
 */
import { TidewireError } from "../errors.js";

/** Where a part of the module is, or what it is. */
export type WasmSource = WasmBytes | WebAssembly.Module;
/** The `wasm` option. One source is the main part; the second one is then found as if none were named. */
export type WasmOption = WasmSource | { readonly main: WasmSource; readonly more: WasmSource };
type WasmBytes = string | URL | Response | BufferSource | (() => Promise<Response | BufferSource>);

/** What a server calls a module that browsers compile while it comes. */
const WASM = "application/wasm";

/** The parts, by the names of their sources. */
export type Part = "main" | "more";

const shared: { [part in Part]?: Promise<WebAssembly.Module> | undefined } = {};

/** A part, compiled; once per page unless another source is named. */
export async function loadModule(option: WasmOption | undefined, part: Part = "main"): Promise<WebAssembly.Module> {
  const source = sourceOf(option, part);
  if (source instanceof WebAssembly.Module) return source;
  if (source !== undefined) return compile(await explicitBytes(source as WasmBytes));
  shared[part] ??= compileDefault(part);
  try {
    return await (shared[part] as Promise<WebAssembly.Module>);
  } catch (error) {
    shared[part] = undefined;
    throw error;
  }
}

function sourceOf(option: WasmOption | undefined, part: Part): WasmSource | undefined {
  if (typeof option === "object" && "main" in option) return option[part];
  return part === "main" ? option : undefined;
}

async function compile(bytes: Promise<BufferSource> | BufferSource): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(await bytes);
  } catch (cause) {
    if (cause instanceof TidewireError) throw cause;
    throw new TidewireError(
      "wasm-load",
      `The WebAssembly module does not compile: ${String(cause)}. ` +
        "If the page has a Content-Security-Policy, allow 'wasm-unsafe-eval'.",
      { cause },
    );
  }
}

async function explicitBytes(source: WasmBytes): Promise<BufferSource> {
  const given = typeof source === "function" ? await source() : source;
  if (typeof given !== "string" && !(given instanceof URL) && !(given instanceof Response)) return given;
  try {
    const response = given instanceof Response ? given : await fetch(given);
    const bytes = await response.arrayBuffer();
    if (isWasm(bytes)) return bytes;
    throw new Error(`HTTP ${response.status}, not a WebAssembly module`);
  } catch (cause) {
    throw new TidewireError("wasm-load", `The option \`wasm\` does not lead to the module: ${String(cause)}.`, {
      cause,
    });
  }
}

async function compileDefault(part: Part): Promise<WebAssembly.Module> {
  let found: BufferSource | undefined;
  try {
    // Bundlers look for exactly this, with the text in place. Not with a low priority: pages that load put that off.
    const response = await (part === "main"
      ? fetch(new URL("../tidewire.wasm", import.meta.url))
      : fetch(new URL("../tidewire-more.wasm", import.meta.url)));
    // While it comes; and browsers keep the code of what they compile so.
    if (response.headers.get("content-type") === WASM) return await WebAssembly.compileStreaming(response);
    const bytes = await response.arrayBuffer();
    if (isWasm(bytes)) found = bytes;
  } catch {
    // Not there, or not allowed: the inlined copy is for this.
  }
  return compile(found ?? inlinedBytes(part));
}

async function inlinedBytes(part: Part): Promise<BufferSource> {
  try {
    const inline = await import("../wasm-inline.js");
    return Uint8Array.from(atob(inline[part]), (character) => character.charCodeAt(0));
  } catch (cause) {
    throw new TidewireError(
      "wasm-load",
      `The ${part === "main" ? "" : "second part of the "}WebAssembly module was not found. Serve ` +
        "`tidewire/tidewire.wasm` and `tidewire/tidewire-more.wasm`, and pass their addresses as " +
        "openDb({ wasm: { main, more } }).",
      { cause },
    );
  }
}

function isWasm(bytes: ArrayBuffer): boolean {
  const magic = new Uint8Array(bytes.slice(0, 4));
  return magic[0] === 0 && magic[1] === 0x61 && magic[2] === 0x73 && magic[3] === 0x6d;
}
