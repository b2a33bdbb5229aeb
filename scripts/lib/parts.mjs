// The parts of a build, in order. Each knows what it reads and what it leaves, and is skipped when neither changed.
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { fingerprint, stamp, stampOf } from "./inputs.mjs";
import { cargoBar, progress } from "./progress.mjs";
import { environment, root, start } from "./shell.mjs";

const RUST = ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".cargo/config.toml", "core/Cargo.toml", "core/src"];
const WORKSPACES = ["pkg", "www", "tests"];
const target = environment.CARGO_TARGET_DIR ?? "target";

/** Where cargo puts binaries. */
export const targetDir = isAbsolute(target) ? target : join(root, target);

const npmRun = (script, workspace) => ["npm", "run", "--silent", script, "--workspace", workspace];
const server = (profile) => ({
  label: `server (${profile})`,
  inputs: [...RUST, "server"],
  outputs: [join(targetDir, profile, "tidewire-server")],
  command: ["cargo", "build", ...(profile === "release" ? ["--release"] : []), "-p", "tidewire-server"],
});

/** `after` names parts whose change is a change of this one. */
export const parts = {
  packages: {
    label: "npm packages",
    inputs: ["package.json", "package-lock.json", ".npmrc", ...WORKSPACES.map((name) => `${name}/package.json`)],
    outputs: ["node_modules/.package-lock.json"],
    command: ["npm", "ci", "--no-audit", "--no-fund"],
  },
  wasm: {
    label: "browser module",
    inputs: [...RUST, "src", "xtask/Cargo.toml", "xtask/src"],
    outputs: ["tidewire.wasm", "tidewire-more.wasm", "wasm-inline.js"].map((name) => `pkg/dist/${name}`),
    command: ["cargo", "xtask", "build", "--release"],
    after: ["packages"],
  },
  kit: {
    label: "module of the test kit",
    inputs: [...RUST, "testing", "xtask/Cargo.toml", "xtask/src"],
    outputs: ["authority.js", "authority_bg.wasm"].map((name) => `pkg/dist/testing/${name}`),
    command: ["cargo", "xtask", "kit", "--release"],
    after: ["packages"],
  },
  pkg: {
    label: "npm package tidewire",
    inputs: ["pkg"],
    outputs: ["pkg/dist/index.js"],
    command: npmRun("build", "pkg"),
    after: ["packages", "wasm"],
  },
  demo: {
    label: "demo",
    inputs: ["www"],
    outputs: ["www/dist/index.html"],
    command: npmRun("build", "www"),
    after: ["pkg"],
  },
  server: server("release"),
  "server-debug": server("debug"),
};

/** Builds parts in order. Prints a line for each that had to be built; stops at the first that failed. */
export async function build(names, { verbose = false } = {}) {
  for (const name of names) {
    if (!(await buildPart(name, verbose))) return false;
  }
  return true;
}

/** Whether a part is what its inputs say. */
export function isFresh(name) {
  const there = parts[name].outputs.every((file) => existsSync(isAbsolute(file) ? file : join(root, file)));
  return there && stampOf(name) === inputsOf(name);
}

async function buildPart(name, verbose) {
  if (isFresh(name)) return true;
  const part = parts[name];
  const logs = join(root, "target", "logs");
  mkdirSync(logs, { recursive: true });
  const log = join(logs, `build-${name}.log`);
  rmSync(log, { force: true });
  const bar = progress(part.label);
  let tail = "";
  const onText = (text) => {
    bar.text(text);
    tail = (tail + text).slice(-8_000);
    if (verbose) process.stdout.write(text);
  };
  const code = await start(part.command, { env: cargoBar, onText, log }).done;
  const missing = part.outputs.filter((file) => !existsSync(isAbsolute(file) ? file : join(root, file)));
  if (code !== 0 || missing.length > 0) {
    bar.end("FAIL", `exit code ${code}${missing.length > 0 ? `, did not make ${missing.join(", ")}` : ""}`);
    console.log(withoutCrates(withoutBars(tail)));
    return false;
  }
  bar.end("ok");
  stamp(name, inputsOf(name));
  return true;
}

/** What says why something failed: without the names of the crates that cargo went through. */
export function withoutCrates(text) {
  return text.split("\n").filter((line) => !/^ +(Checking|Compiling|Downloaded|Downloading) /.test(line)).join("\n");
}

/** Cargo's progress bars are of no use in a log. */
export function withoutBars(text) {
  const bare = text.replaceAll(/\u001b\[[0-9;]*[A-Za-z]/g, "");
  return bare.split(/\r|\n/).filter((line) => !/^\s*Building \[/.test(line) && line.trim() !== "").join("\n");
}

function inputsOf(name) {
  const { inputs, after = [], command } = parts[name];
  return fingerprint(inputs, [command.join(" "), process.versions.node, ...after.map(inputsOf)].join("\n"));
}
