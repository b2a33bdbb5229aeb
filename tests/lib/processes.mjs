/**
 * The child processes of a test file. Each one leads a process group of its own and is ended by its id, also when a
 * test fails or the run is interrupted. `run.mjs` ends what a killed test file left behind: it reads the ids from the
 * file that TIDEWIRE_TEST_PIDS names.
 */
import { spawn } from "node:child_process";
import { appendFileSync } from "node:fs";

const running = new Set();

/**
 * Starts a program and collects what it says. `ready` gets each line; the promise resolves with its first answer.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ ready?: (line: string) => unknown, env?: object, name?: string, timeoutMs?: number }} [options]
 */
export function start(command, args, { ready, env = {}, name = command, timeoutMs = 60_000 } = {}) {
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
    env: { ...process.env, ...env },
  });
  const started = /** @type {any} */ ({ name, child, lines: [], pid: child.pid });
  started.stop = (signal) => stop(started, signal);
  started.exited = new Promise((resolve) => {
    child.once("exit", (code, signal) => {
      running.delete(started);
      resolve({ code, signal });
    });
    child.once("error", () => resolve({ code: null, signal: null }));
  });
  if (child.pid !== undefined) {
    running.add(started);
    if (process.env.TIDEWIRE_TEST_PIDS) appendFileSync(process.env.TIDEWIRE_TEST_PIDS, `${child.pid}\n`);
  }
  return new Promise((resolve, reject) => {
    const fail = (why) => reject(new Error(`${name} ${why}\n${started.lines.slice(-20).join("\n")}`));
    const timer = setTimeout(() => {
      fail(`was not ready after ${timeoutMs} ms`);
      void stop(started, "SIGKILL");
    }, timeoutMs);
    const settle = (value) => {
      clearTimeout(timer);
      resolve(Object.assign(started, { answer: value }));
    };
    child.once("error", (error) => {
      clearTimeout(timer);
      fail(`could not be started: ${error.message}`);
    });
    void started.exited.then(({ code, signal }) => {
      clearTimeout(timer);
      fail(`ended early (${code ?? signal})`);
    });
    const hear = (line) => {
      started.lines.push(line);
      if (started.lines.length > 20_000) started.lines.splice(0, 10_000);
      const answer = ready?.(line);
      if (answer !== undefined && answer !== false) settle(answer);
    };
    splitLines(child.stdout, hear);
    splitLines(child.stderr, hear);
    if (ready === undefined) child.once("spawn", () => settle(undefined));
  });
}

/** Ends a process and its group: politely first, then for certain. */
export async function stop(started, signal = "SIGTERM") {
  if (!running.has(started)) return;
  killGroup(started.pid, signal);
  const patience = setTimeout(() => killGroup(started.pid, "SIGKILL"), 3_000);
  await started.exited;
  clearTimeout(patience);
}

/** Sends a signal to a process group; one that is gone is no error. */
export function killGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
    return true;
  } catch (error) {
    if (error.code !== "ESRCH" && error.code !== "EPERM") throw error;
    return false;
  }
}

function splitLines(stream, hear) {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(hear);
  });
  stream.on("end", () => rest && hear(rest));
}

process.on("exit", () => running.forEach((started) => killGroup(started.pid, "SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(1));
