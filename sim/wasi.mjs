// Runs the simulator's WebAssembly module: `node sim/wasi.mjs MODULE words…`, words as for `cargo xtask sim`.
import { readFileSync } from "node:fs";
import process from "node:process";

// Node says that its WASI is an experiment each time; that is known.
process.removeAllListeners("warning");
const { WASI } = await import("node:wasi");

const [module, ...words] = process.argv.slice(2);
const wasi = new WASI({ version: "preview1", args: ["tidewire-sim", ...words], env: {}, returnOnExit: true });
const { instance } = await WebAssembly.instantiate(readFileSync(module), wasi.getImportObject());
process.exitCode = wasi.start(instance);
