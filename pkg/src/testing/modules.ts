/** Loads what a test needs once, before it begins: the three WebAssembly modules, and code that apps load late. */
import type { WasmOption } from "../wasm/load.js";
import init from "./authority.js";

let loading: Promise<WasmOption> | undefined;

/** The modules of the client; the authority is then ready to be made. */
export function loadModules(): Promise<WasmOption> {
  return (loading ??= load());
}

async function load(): Promise<WasmOption> {
  const [main, more, authority] = await Promise.all([
    compiled(new URL("../tidewire.wasm", import.meta.url)),
    compiled(new URL("../tidewire-more.wasm", import.meta.url)),
    compiled(new URL("./authority_bg.wasm", import.meta.url)),
    lateCode(),
  ]);
  await init({ module_or_path: authority });
  return { main, more };
}

/** What is loaded late takes turns of the event loop that no clock counts. */
async function lateCode(): Promise<void> {
  await Promise.all([
    import("../adopt.js"),
    import("../conflict-book.js"),
    import("../conflict-functions.js"),
    import("../host/sensitive.js"),
    import("../host/memory.js"),
  ]);
}

async function compiled(url: URL): Promise<WebAssembly.Module> {
  if (url.protocol !== "file:") return WebAssembly.compile(await (await fetch(url)).arrayBuffer());
  // By a name that bundlers do not follow: in a browser there is none.
  const files = "node:fs/promises";
  const { readFile } = (await import(/* @vite-ignore */ files)) as { readFile(url: URL): Promise<Uint8Array> };
  return WebAssembly.compile((await readFile(url)) as Uint8Array<ArrayBuffer>);
}
