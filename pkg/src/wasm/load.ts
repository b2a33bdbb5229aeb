/**
 * Finds the bytes of the wasm module: the `wasm` option, then the file beside this package, then the inlined copy.
 *
 * Bundlers differ in whether they carry `new URL("…", import.meta.url)` along; one that does not usually answers with
 * an HTML page, hence the check of the first four bytes. Nothing here runs at import.
 */
import { TidewireError } from "../errors.js";

/** The `wasm` option: where the module is, or what it is. */
export type WasmSource = WasmBytes | WebAssembly.Module;
type WasmBytes = string | URL | Response | BufferSource | (() => Promise<Response | BufferSource>);

/** What a server calls a module that browsers compile while it comes. */
const WASM = "application/wasm";

let shared: Promise<WebAssembly.Module> | undefined;

/** The compiled module; compiled once per page unless another source is named. */
export async function loadModule(source: WasmSource | undefined): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) return source;
  if (source !== undefined) return compile(await explicitBytes(source as WasmBytes));
  shared ??= compileDefault();
  try {
    return await shared;
  } catch (error) {
    shared = undefined;
    throw error;
  }
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

async function compileDefault(): Promise<WebAssembly.Module> {
  let found: BufferSource | undefined;
  try {
    const response = await fetch(new URL("../tidewire.wasm", import.meta.url));
    // While it comes; and browsers keep the code of what they compile so.
    if (response.headers.get("content-type") === WASM) return await WebAssembly.compileStreaming(response);
    const bytes = await response.arrayBuffer();
    if (isWasm(bytes)) found = bytes;
  } catch {
    // Not there, or not allowed: the inlined copy is for this.
  }
  return compile(found ?? inlinedBytes());
}

async function inlinedBytes(): Promise<BufferSource> {
  try {
    const inline = await import("../wasm-inline.js");
    return Uint8Array.from(atob(inline.default), (character) => character.charCodeAt(0));
  } catch (cause) {
    throw new TidewireError(
      "wasm-load",
      "The WebAssembly module was not found. Serve `tidewire/tidewire.wasm` and pass its address as openDb({ wasm }).",
      { cause },
    );
  }
}

function isWasm(bytes: ArrayBuffer): boolean {
  const magic = new Uint8Array(bytes.slice(0, 4));
  return magic[0] === 0 && magic[1] === 0x61 && magic[2] === 0x73 && magic[3] === 0x6d;
}
