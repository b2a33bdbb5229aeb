#!/usr/bin/env node
// `npm start`: checks the machine, builds what changed, starts the server with the demo. Node built-ins alone, so that
// it works before `npm install`.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { build, isFresh, parts } from "./lib/parts.mjs";
import { root, start, stopAll, stopOnSignals } from "./lib/shell.mjs";
import { ensureRust, missingTools, nodeIsSupported } from "./lib/toolchain.mjs";

const USAGE = `npm start -- [options]
  --reset      delete the data in .tidewire first
  --seed       print the address that imports a real data set
  --port N     first port to try (8787)
  --verbose    show what the builds print
`;
const PARTS = ["packages", "wasm", "pkg", "demo", "server"];
const PORTS_TO_TRY = 20;
/** The server's exit code for a port that somebody else has. */
const PORT_TAKEN = 98;
/** The port of the last start, to see whether a server still uses the data. */
const LAST = join(root, "target", "start.json");

let stopping = false;

const options = parse(process.argv.slice(2));
if (options === undefined) {
  process.stderr.write(USAGE);
  process.exitCode = 2;
} else {
  const say = () => {
    stopping = true;
    console.log("\nStopping.");
  };
  stopOnSignals(say, 0);
  process.exitCode = await main(options);
}

async function main({ reset, seed, port, verbose }) {
  const other = await runningElsewhere();
  if (other !== undefined && reset) {
    console.error(`A server uses .tidewire (port ${other}): stop it before its data is deleted.`);
    return 1;
  }
  if (other !== undefined) console.log(`Another server (port ${other}) uses .tidewire too: better stop one of them.`);
  const fresh = nodeIsSupported(process.versions.node) && PARTS.every(isFresh);
  if (!fresh && !(await prepare(verbose))) return 1;
  if (reset) {
    console.log("Deleting the data of the server: .tidewire");
    rmSync(join(root, ".tidewire"), { recursive: true, force: true });
  }
  for (let next = port; next < port + PORTS_TO_TRY; next += 1) {
    const code = await serve(next, seed);
    if (code !== PORT_TAKEN) return code;
    console.log(`Port ${next} is taken, trying ${next + 1}.`);
  }
  console.error(`No free port from ${port} to ${port + PORTS_TO_TRY - 1}: name one with --port.`);
  return 1;
}

async function prepare(verbose) {
  const missing = missingTools();
  if (missing.length > 0) {
    for (const line of missing) console.error(line);
    return false;
  }
  console.log("Building what changed (the first time takes some minutes).");
  return (await ensureRust()) && build(PARTS, { verbose });
}

/** Runs the server until it ends; returns its exit code. */
async function serve(port, seed) {
  const [binary] = parts.server.outputs;
  let announced = false;
  let seen = "";
  const onText = (text) => {
    seen = (seen + text).slice(-4_000);
    if (announced) process.stdout.write(text);
    else if (seen.includes(`listening on http://`)) {
      announced = true;
      process.stdout.write(seen);
      remember(port);
      announce(port, seed);
    }
  };
  const flags = ["--dev", "--config", "www/tidewire.toml", "--port", String(port)];
  flags.push("--data", ".tidewire", "--static", "www/dist");
  const code = await start([binary, ...flags], { onText }).done;
  if (!announced && code !== PORT_TAKEN) process.stderr.write(seen);
  if (code !== PORT_TAKEN && !stopping) {
    console.error(`The server ended (exit code ${code}).`);
    await stopAll();
  }
  return code;
}

function announce(port, seed) {
  const address = `http://localhost:${port}`;
  console.log(`\n  Tidewire is ready:  ${seed ? `${address}/#seed` : address}`);
  if (seed) console.log("  Opening this address imports the movies data set through the offline queue.");
  console.log("  Data: .tidewire   Stop: Ctrl-C\n");
}

function remember(port) {
  mkdirSync(dirname(LAST), { recursive: true });
  writeFileSync(LAST, JSON.stringify({ port }));
}

/** The port of a server that an earlier start left running in this directory. */
async function runningElsewhere() {
  try {
    const { port } = JSON.parse(readFileSync(LAST, "utf8"));
    const answer = await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(1_000) });
    return answer.ok ? port : undefined;
  } catch {
    return undefined;
  }
}

function parse(words) {
  const found = { reset: false, seed: false, verbose: false, port: 8787 };
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at];
    if (word === "--reset") found.reset = true;
    else if (word === "--seed") found.seed = true;
    else if (word === "--verbose") found.verbose = true;
    else if (word === "--port" && /^\d{1,5}$/.test(words[at + 1] ?? "")) found.port = Number(words[(at += 1)]);
    else return undefined;
  }
  return found;
}
