#!/usr/bin/env node
// `npm run size`: what a browser downloads of a production build, brotli-compressed, lazy chunks included, and the room
// that each crate takes in the wasm module. Over the limit is a failure.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";
import { build as buildParts } from "./lib/parts.mjs";
import { root, start } from "./lib/shell.mjs";

const LIMIT_KB = 130;
const GOAL_KB = 100;
/** What this app's browser does not load, or not because of the client. */
const NOT_SUMMED = [
  [".html", "(the app's own page)"],
  ["wasm-inline", "(instead of the .wasm, not summed)"],
  ["assets/conflict-", "(only where conflicts are looked at, or a function decides; not summed)"],
  ["assets/peer-", "(only where `backend` is given, not summed)"],
  ["assets/vault-", "(only where `encrypt` is given, not summed)"],
];
const OUT = join(root, "target", "size-app");

if (!(await buildParts(["packages", "wasm", "pkg"]))) process.exit(1);
await bundle();
const total = report(filesOf(OUT));
const measured = await roomByCrate();
if (!measured) process.exitCode = 1;
if (total > LIMIT_KB * 1_000) {
  console.error(`\nThe client is ${kb(total)}: over the limit of ${LIMIT_KB} kB.`);
  process.exitCode = 1;
}

async function bundle() {
  const { build } = await import("vite");
  await build({
    root: join(root, "scripts", "size-app"),
    configFile: false,
    logLevel: "warn",
    // What Vite adds for browsers without `modulepreload` is the app's choice, and no part of the client.
    build: {
      modulePreload: { polyfill: false },
      outDir: OUT,
      emptyOutDir: true,
      reportCompressedSize: false,
      assetsInlineLimit: 0,
    },
  });
}

function filesOf(dir) {
  return readdirSync(dir).flatMap((name) => {
    const path = join(dir, name);
    return statSync(path).isDirectory() ? filesOf(path) : [path];
  });
}

/** Prints the table and returns the bytes that count. */
function report(files) {
  const rows = files.map((file) => {
    const bytes = readFileSync(file);
    const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
    const name = relative(OUT, file);
    return { name, raw: bytes.length, brotli: brotliCompressSync(bytes, { params }).length, counts: countsFor(name) };
  });
  console.log("What a browser downloads (production build, brotli 11; whole client without React):");
  for (const row of rows.sort((a, b) => b.brotli - a.brotli)) {
    const why = whyNotSummed(row.name);
    const sizes = `${kb(row.brotli).padStart(10)}  of ${kb(row.raw).padStart(9)}`;
    console.log(`${sizes}  ${row.name}  ${why}`.trimEnd());
  }
  const add = (all, row) => all + row.brotli;
  const sum = rows.filter((row) => row.counts).reduce(add, 0);
  const optional = rows.filter((row) => /only where/.test(whyNotSummed(row.name))).reduce(add, 0);
  console.log(`${kb(sum).padStart(10)}  in all; goal ${GOAL_KB} kB, limit ${LIMIT_KB} kB`);
  console.log(`${kb(sum + optional).padStart(10)}  with the parts that only some apps load\n`);
  return sum;
}

function countsFor(name) {
  return whyNotSummed(name) === "";
}

function whyNotSummed(name) {
  return NOT_SUMMED.find(([part]) => name.includes(part))?.[1] ?? "";
}

function kb(bytes) {
  return `${(bytes / 1_000).toFixed(1)} kB`;
}

/** Prints the rows of `cargo xtask size` without what cargo says meanwhile. */
async function roomByCrate() {
  let output = "";
  const code = await start(["cargo", "xtask", "size"], { onText: (text) => (output += text) }).done;
  const rows = output.split("\n").filter((line) => /^ *\d+ {2,}/.test(line));
  console.log("Room in the browser module, bytes before compression:");
  console.log(code === 0 ? rows.join("\n") : output);
  return code === 0;
}
