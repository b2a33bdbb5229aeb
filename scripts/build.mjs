#!/usr/bin/env node
// `npm run build`: the browser module, that of the test kit, the npm package, the demo and the server. What is up to
// date is skipped.
import { build } from "./lib/parts.mjs";
import { stopOnSignals } from "./lib/shell.mjs";

stopOnSignals(() => {}, 130);
const named = process.argv.slice(2).filter((word) => !word.startsWith("-"));
const names = named.length > 0 ? named : ["packages", "wasm", "kit", "pkg", "demo", "server"];
process.exitCode = (await build(names, { verbose: process.argv.includes("--verbose") })) ? 0 : 1;
