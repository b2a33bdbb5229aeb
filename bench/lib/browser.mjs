/**
 * One Chromium with a profile on the disk for the whole run. A stage is one origin of it: a store that nothing was in
 * before, and that is deleted afterwards.
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";
import { serveFiles } from "./serve.mjs";

const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // Its memory would be counted as the page's.
  "--disable-features=SpareRendererForSitePerProcess",
];
const STEP_TIMEOUT_MS = 300_000;

/** Starts the browser and the file server. */
export async function openLab(root) {
  const profile = mkdtempSync(path.join(os.tmpdir(), "tidewire-bench-"));
  const files = await serveFiles(root);
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: "/usr/bin/chromium",
    args: ARGS,
    headless: true,
  });
  const idle = new Set(renderers(profile));
  let origins = 0;
  return {
    version: context.browser()?.version() ?? "unknown",
    profile,
    stage: () => new Stage(context, files.originOf((origins += 1)), () => memory(profile, idle)),
    async close() {
      await context.close();
      await files.close();
      rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    },
  };
}

class Stage {
  #context;
  #page;
  #memory;

  constructor(context, origin, memoryOf) {
    this.#context = context;
    this.origin = origin;
    this.#memory = memoryOf;
  }

  /** Opens a page of this origin in a process of its own. An open one is closed before. */
  async load() {
    await this.#page?.close();
    this.#page = await this.#context.newPage();
    this.problems = [];
    this.#page.on("pageerror", (error) => this.problems.push(error.message));
    this.#page.on("console", (message) => message.type() === "error" && this.problems.push(message.text()));
    await this.#page.goto(this.origin);
    await this.#ready();
  }

  /** Reloads the page, as a user does at once after a write. */
  async reload() {
    await this.#page.reload();
    await this.#ready();
  }

  /** Carries out a step in the page and returns its result. */
  async call(step, args = {}) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${step} took more than ${STEP_TIMEOUT_MS} ms`)), STEP_TIMEOUT_MS);
    });
    try {
      return await Promise.race([
        this.#page.evaluate(([name, given]) => window.bench(name, given), [step, args]),
        late,
      ]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Memory of the page's process after garbage collection, in MB: its proportional share, workers included. */
  async memory() {
    const session = await this.#context.newCDPSession(this.#page);
    for (let turn = 0; turn < 3; turn += 1) await session.send("HeapProfiler.collectGarbage");
    await session.detach();
    return this.#memory();
  }

  /** Closes the page and deletes what it stored. */
  async close() {
    if (!this.#page) return;
    const session = await this.#context.newCDPSession(this.#page);
    await session.send("Page.navigate", { url: "about:blank" });
    await session.send("Storage.clearDataForOrigin", { origin: this.origin, storageTypes: "all" });
    await this.#page.close();
    this.#page = undefined;
  }

  async #ready() {
    await this.#page.waitForFunction(() => typeof window.bench === "function");
  }
}

/** The ids of this browser's renderer processes: those whose command line names the profile, or whose parent's does. */
function renderers(profile) {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const commands = new Map(pids.map((pid) => [pid, read(`/proc/${pid}/cmdline`)]));
  const parent = (pid) => /^PPid:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1];
  const ours = (pid) => {
    for (let at = pid; at !== undefined && at !== "0"; at = parent(at))
      if (commands.get(at)?.includes(profile)) return true;
    return false;
  };
  return pids.filter((pid) => commands.get(pid).includes("--type=renderer") && ours(pid));
}

/** Proportional set size of all renderers that were not there before, in MB. */
function memory(profile, idle) {
  const sizes = renderers(profile)
    .filter((pid) => !idle.has(pid))
    .map((pid) => Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0));
  return sizes.reduce((sum, kb) => sum + kb, 0) / 1_024;
}

function read(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    // The process has ended.
    return "";
  }
}
