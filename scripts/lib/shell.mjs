// Child processes: each in a process group of its own, so that ending one ends what it started.
import { spawn, spawnSync } from "node:child_process";
import { closeSync, openSync, writeSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

const running = new Set();

/** The environment of every child: cargo's tools are found even when the shell does not know them yet. */
export const environment = {
  ...process.env,
  PATH: `${process.env.PATH}${delimiter}${join(process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "bin")}`,
};

/** Starts a command. `onText` gets what it prints; `log` is a file that keeps it. Resolves with its exit code. */
export function start(command, { env = {}, onText = () => {}, log } = {}) {
  const [program, ...args] = command;
  const file = log === undefined ? undefined : openSync(log, "a");
  const child = spawn(program, args, {
    cwd: root,
    detached: true,
    env: { ...environment, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  const take = (text) => {
    if (file !== undefined) writeSync(file, text);
    onText(text);
  };
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", take);
  const done = new Promise((resolve) => {
    child.on("error", (error) => {
      take(`cannot start ${program}: ${error.message}\n`);
      resolve(127);
    });
    child.on("close", (code, signal) => resolve(code ?? (signal === "SIGINT" ? 130 : 143)));
  }).finally(() => {
    running.delete(child);
    if (file !== undefined) closeSync(file);
  });
  return { child, done, stop: (signal) => signalGroup(child, signal) };
}

/** Runs a short command and returns what it printed, or undefined if it failed or is not there. */
export function ask(command) {
  const [program, ...args] = command;
  const result = spawnSync(program, args, { cwd: root, env: environment, encoding: "utf8" });
  return result.status === 0 ? result.stdout.trim() : undefined;
}

/** Ends all children: politely, then after `graceMs` for sure. */
export async function stopAll(graceMs = 5_000) {
  const groups = [...running];
  for (const child of groups) signalGroup(child, "SIGTERM");
  const ended = Promise.all(groups.map((child) => new Promise((resolve) => child.once("close", resolve))));
  let timer;
  await Promise.race([ended, new Promise((resolve) => (timer = setTimeout(resolve, graceMs)))]);
  clearTimeout(timer);
  for (const child of groups) signalGroup(child, "SIGKILL");
}

/** On Ctrl-C, a closed terminal or a kill: runs `before`, ends all children, then leaves with `code`. */
export function stopOnSignals(before, code) {
  let stopping = false;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, async () => {
      if (stopping) return;
      stopping = true;
      before(signal);
      await stopAll();
      process.exit(code);
    });
  }
}

function signalGroup(child, signal) {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group has ended already.
  }
}
