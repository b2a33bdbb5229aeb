#!/usr/bin/env node
// `npm test`: installs what is missing, builds what changed, runs every check. Node built-ins alone, so that it works
// before `npm install`. `--only <step>` runs one step, `--verbose` shows what it prints, `--long` runs long campaigns.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { howToGet, install, missingPrograms, wantedBrowsers } from "./lib/browsers.mjs";
import { countTests } from "./lib/counts.mjs";
import { build, withoutBars, withoutCrates } from "./lib/parts.mjs";
import { cargoBar, progress, seconds } from "./lib/progress.mjs";
import { root, start, stopOnSignals } from "./lib/shell.mjs";
import { steps } from "./lib/steps.mjs";
import { ensureRust, missingTools } from "./lib/toolchain.mjs";

const LOGS = join(root, "target", "logs");
/** How much of a failed step's output is shown; all of it is in its log. */
const FAILURE_LINES = 80;
const LONG = { TIDEWIRE_LONG: "1", TIDEWIRE_RECORDS: "50000", PROPTEST_CASES: "20000" };

const words = process.argv.slice(2);
const verbose = words.includes("--verbose");
const long = words.includes("--long");
const only = words.flatMap((word, at) => (words[at - 1] === "--only" ? word.split(",") : []));
const unknown = only.filter((name) => !steps.some((step) => step.name === name));

const result = { passed: 0, failed: 0, notRun: [] };
/** Parts that could not be built: what needs them does not run. */
const broken = new Set();

stopOnSignals(() => console.log("\nStopping."), 130);
process.exitCode = await main();

async function main() {
  if (unknown.length > 0) {
    console.error(`No step ${unknown.join(", ")}. Steps: ${steps.map((step) => step.name).join(", ")}`);
    return 2;
  }
  const missing = missingTools();
  if (missing.length > 0) {
    for (const line of missing) console.error(line);
    return 1;
  }
  const began = Date.now();
  mkdirSync(LOGS, { recursive: true });
  if (!(await ensureRust())) return 1;
  for (const step of steps) {
    if (only.length > 0 && !only.includes(step.name)) result.notRun.push(step.name);
    else await runStep(step);
  }
  console.log(`\n${seconds(Date.now() - began)} in all; logs in target/logs`);
  console.log(result.notRun.length === 0 ? "Everything ran." : `Did not run: ${result.notRun.join(", ")}.`);
  console.log(`${result.passed} passed, ${result.failed} failed`);
  return result.failed === 0 ? 0 : 1;
}

async function runStep(step) {
  if (!(await toolsFor(step)) || !(await buildParts(step))) return;
  const chosen = step.name === "browsers" ? await browsers() : {};
  const env = { ...cargoBar, ...step.env, ...(long ? LONG : {}), ...chosen };
  if (env.TIDEWIRE_BROWSERS === "") return;
  const bar = progress(step.label);
  const { output, failures } = await runCommands(step, env, bar);
  const { passed, failed } = countTests(output, failures === "");
  result.passed += passed;
  result.failed += failed;
  bar.end(failed === 0 ? "ok" : "FAIL", passed + failed > 1 ? `${passed} passed, ${failed} failed` : "");
  if (verbose) return;
  if (failed > 0) console.log(withoutCrates(failures).split("\n").slice(-FAILURE_LINES).join("\n"));
  else if (step.name === "size") console.log(withoutBars(output));
}

/** Runs all commands of a step; returns what they printed, and what those that failed printed. */
async function runCommands(step, env, bar) {
  const log = join(LOGS, `${step.name}.log`);
  rmSync(log, { force: true });
  let output = "";
  let failures = "";
  for (const command of [...step.commands, ...((long && step.long) || [])]) {
    let text = "";
    const onText = (more) => {
      text += more;
      bar.text(more);
      if (verbose) process.stdout.write(more);
    };
    const code = await start(command, { env, onText, log }).done;
    output += text;
    if (code !== 0) failures += `$ ${command.join(" ")}\n${withoutBars(text)}\n(exit code ${code})\n`;
  }
  writeFileSync(log, withoutBars(output));
  return { output, failures };
}

async function buildParts(step) {
  for (const part of step.parts) {
    if (broken.has(part) || !(await build([part], { verbose }))) {
      if (!broken.has(part)) result.failed += 1;
      broken.add(part);
      result.notRun.push(`${step.name} (needs the ${part} build)`);
      return false;
    }
  }
  return true;
}

/** Installs the tools of a step. Without them it fails; on another kind of machine it says that it does not run. */
async function toolsFor({ name, tools = [], only: kind }) {
  if (kind !== undefined && kind !== `${process.platform} ${process.arch}`) {
    result.notRun.push(`${name} (only on ${kind})`);
    return false;
  }
  await installMissing(tools);
  for (const tool of tools.filter((one) => missingPrograms(one).length > 0)) {
    fail(`${tool} is missing: ${howToGet(tool)}`);
    result.notRun.push(`${name} (needs ${tool})`);
    return false;
  }
  return true;
}

async function installMissing(names) {
  const missing = names.filter((name) => missingPrograms(name).length > 0);
  if (missing.length === 0) return;
  const bar = progress(`installing ${missing.join(", ")}`);
  await install(missing, bar.text);
  bar.end("ok");
}

/** Installs the browsers; one that is still missing is a failure, the others run. */
async function browsers() {
  const { wanted, left, unknown: names } = wantedBrowsers();
  for (const name of names) fail(`TIDEWIRE_BROWSERS names ${name}, which is no browser that we know`);
  for (const name of left) result.notRun.push(`${name} (TIDEWIRE_BROWSERS leaves it out)`);
  await installMissing(wanted);
  const there = wanted.filter((name) => missingPrograms(name).length === 0);
  for (const name of wanted.filter((browser) => !there.includes(browser))) {
    const programs = missingPrograms(name).join(", ");
    fail(`${name} is missing (${programs}): ${howToGet(name)}; or name fewer in TIDEWIRE_BROWSERS`);
    result.notRun.push(`${name} (missing)`);
  }
  return { TIDEWIRE_BROWSERS: there.join(",") };
}

function fail(message) {
  console.error(` FAIL ${message}`);
  result.failed += 1;
}
