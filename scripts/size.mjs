#!/usr/bin/env node
// `npm run size`: what a browser downloads of a production build, brotli-compressed, and when: at the start, behind it,
// or only in some apps; and the room that each crate takes in the wasm module. A start over the limit is a failure.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";
import { build as buildParts } from "./lib/parts.mjs";
import { root, start } from "./lib/shell.mjs";

const LIMIT_KB = 130;
const GOAL_KB = 100;
/** Files that are not loaded at the start: when they are, and why. */
const START = "at the start";
const BEHIND = "behind the start";
const SOME = "only";
const NEVER = "not summed";
const LATER = [
  [".html", NEVER, "the app's own page"],
  ["wasm-inline", NEVER, "instead of the .wasm files"],
  ["tidewire-more", BEHIND, "by every app, when the database is open; syncing begins with it"],
  ["assets/room-", BEHIND, "by every app, at the first write or look at health"],
  ["assets/conflict-", SOME, "where conflicts are looked at, or a function decides"],
  ["assets/adopt-", SOME, "where somebody signs in"],
  ["assets/memory-", SOME, "where there is no IndexedDB"],
  ["assets/peer-", SOME, "where `backend` is given"],
  ["assets/vault-", SOME, "where `encrypt` is given"],
  ["assets/sensitive-", SOME, "where a collection has `sensitive` fields"],
];
const OUT = join(root, "target", "size-app");

if (!(await buildParts(["packages", "wasm", "pkg"]))) process.exit(1);
await bundle();
const total = report(filesOf(OUT));
const measured = await roomByCrate();
if (!measured) process.exitCode = 1;
if (total > LIMIT_KB * 1_000) {
  console.error(`\nThe start is ${kb(total)}: over the limit of ${LIMIT_KB} kB.`);
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
    const [, when = START, why = ""] = LATER.find(([part]) => name.includes(part)) ?? [];
    return { name, when, why, raw: bytes.length, brotli: brotliCompressSync(bytes, { params }).length };
  });
  console.log("What a browser downloads (production build, brotli 11; whole client without React):");
  for (const { name, when, why, raw, brotli } of rows.sort((a, b) => b.brotli - a.brotli)) {
    const note = why === "" ? `(${when})` : `(${when}: ${why})`;
    console.log(`${kb(brotli).padStart(10)}  of ${kb(raw).padStart(9)}  ${name}  ${note}`);
  }
  const sum = (...times) => rows.filter(({ when }) => times.includes(when)).reduce((all, row) => all + row.brotli, 0);
  const total = (bytes, what) => console.log(`${kb(bytes).padStart(10)}  ${what}`);
  total(sum(START), `${START}, before the first read or write; goal ${GOAL_KB} kB, limit ${LIMIT_KB} kB`);
  total(sum(START, BEHIND), "in all, in an app that has nothing of the rest");
  total(sum(START, BEHIND, SOME), "with the parts that only some apps load\n");
  return sum(START);
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
