// What must be on the machine before anything is built: one line for each thing that is missing, and how to get it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { progress } from "./progress.mjs";
import { ask, root, start } from "./shell.mjs";

/** Of the browser module, and of the simulator in WebAssembly. */
const TARGETS = ["wasm32-unknown-unknown", "wasm32-wasip1"];
const [NODE_MIN, NODE_END] = [[20, 19], [27, 0]];

/** Whether a Node version (`20.19.0`) is one that we support. */
export function nodeIsSupported(version) {
  const [major, minor] = version.split(".").map(Number);
  const below = (bound) => major < bound[0] || (major === bound[0] && minor < bound[1]);
  return !below(NODE_MIN) && below(NODE_END);
}

/** Lines that say what is missing; empty when all is there. */
export function missingTools() {
  const missing = [];
  if (!nodeIsSupported(process.versions.node)) {
    const found = process.versions.node;
    missing.push(`Node ${found} is not supported: install Node 20.19 or newer (below 27), https://nodejs.org`);
  }
  if (ask(["rustup", "--version"]) === undefined || ask(["cargo", "--version"]) === undefined) {
    missing.push("rustup is missing: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh");
  }
  if (!["cc", "gcc", "clang"].some((compiler) => ask([compiler, "--version"]) !== undefined)) {
    missing.push("a C compiler is missing: apt install build-essential (Debian), xcode-select --install (macOS)");
  }
  return missing;
}

/** The pinned Rust with its wasm target. Returns whether it is there. */
export async function ensureRust() {
  const installed = ask(["rustup", "target", "list", "--installed"])?.split("\n");
  if (installed !== undefined && TARGETS.every((target) => installed.includes(target))) return true;
  const channel = /channel = "(.+)"/.exec(readFileSync(join(root, "rust-toolchain.toml"), "utf8"))?.[1] ?? "stable";
  const bar = progress(`Rust ${channel} with ${TARGETS.join(" and ")}`);
  const arguments_ = ["--profile", "minimal", "--component", "rustfmt,clippy", "--target", TARGETS.join(",")];
  let output = "";
  const onText = (text) => (output += text);
  const code = await start(["rustup", "toolchain", "install", channel, ...arguments_], { onText }).done;
  bar.end(code === 0 ? "ok" : "FAIL", code === 0 ? "" : `\n${output}`);
  return code === 0;
}
