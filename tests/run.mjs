#!/usr/bin/env node
// The browser tests: builds the test page, runs the files of the browsers that are there with node's test runner, ends
// what a killed test left behind. `node run.mjs name…` runs the files whose names hold one of these words.
// The server binary is the one that TIDEWIRE_SERVER names, or cargo's debug build.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "vite";

import { killGroup } from "./lib/processes.mjs";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const BROWSERS = ["chromium", "firefox", "webkit"];
/** Test files that need another browser than Chromium. */
const NEEDS = { "firefox.test.mjs": "firefox", "webkit.test.mjs": "webkit" };

process.exitCode = await main(process.argv.slice(2));

async function main(words) {
  const setting = process.env.TIDEWIRE_BROWSERS?.trim();
  const browsers = setting ? setting.split(",").map((name) => name.trim()) : BROWSERS;
  const unknown = browsers.filter((name) => !BROWSERS.includes(name));
  if (unknown.length > 0) {
    console.error(`TIDEWIRE_BROWSERS names ${unknown.join(", ")}; we know ${BROWSERS.join(", ")}`);
    return 2;
  }
  const files = readdirSync(path.join(HERE, "suites")).filter((name) => name.endsWith(".test.mjs"));
  const named = files.filter((name) => words.length === 0 || words.some((word) => name.includes(word)));
  const chosen = named.filter((name) => browsers.includes(NEEDS[name] ?? "chromium"));
  process.env.TIDEWIRE_SERVER ??= debugServer();
  rmSync(path.join(HERE, "artifacts"), { recursive: true, force: true });
  const configFile = path.join(HERE, "vite.config.js");
  for (const mode of ["production", "next", "worker", "classic"]) await build({ configFile, mode });
  const code = await runTests(chosen);
  const left = files.filter((name) => !chosen.includes(name)).map((name) => name.replace(".test.mjs", ""));
  console.log(left.length === 0 ? "Did not run: nothing." : `Did not run: ${left.join(", ")}.`);
  return code;
}

async function runTests(files) {
  const directory = mkdtempSync(path.join(os.tmpdir(), "tidewire-tests-"));
  const pids = path.join(directory, "pids");
  const args = [
    "--test",
    "--test-reporter=spec",
    "--test-concurrency=2",
    ...files.map((name) => path.join(HERE, "suites", name)),
  ];
  const env = { ...process.env, TIDEWIRE_TEST_PIDS: pids };
  const child = spawn(process.execPath, args, { stdio: "inherit", env });
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) process.on(signal, () => child.kill(signal));
  const code = await new Promise((resolve) => child.once("exit", (status) => resolve(status ?? 1)));
  for (const pid of existsSync(pids) ? readFileSync(pids, "utf8").split("\n").filter(Boolean) : [])
    endLeftOver(Number(pid));
  rmSync(directory, { recursive: true, force: true });
  return code;
}

/** Ends a process group that a test file could not end itself, if the id is still one of ours. */
function endLeftOver(pid) {
  const command = existsSync(`/proc/${pid}/cmdline`) ? readFileSync(`/proc/${pid}/cmdline`, "utf8") : "";
  if (!/tidewire-server|geckodriver|WebKitWebDriver/.test(command)) return;
  console.error(`ending ${command.split("\0")[0]} (${pid}), which a test left behind`);
  killGroup(pid, "SIGKILL");
}

function debugServer() {
  execFileSync("cargo", ["build", "--quiet", "--package", "tidewire-server"], {
    cwd: path.join(HERE, ".."),
    stdio: "inherit",
  });
  const metadata = execFileSync("cargo", ["metadata", "--format-version=1", "--no-deps", "--offline"], {
    cwd: path.join(HERE, ".."),
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  return path.join(JSON.parse(metadata).target_directory, "debug", "tidewire-server");
}
