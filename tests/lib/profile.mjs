/** A device whose browser is a process with its profile on the disk: what is killed finds its store again. */
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

import { ChromiumTab, launchProfile } from "./chromium.mjs";
import { Device } from "./device.mjs";
import { startProxy } from "./proxy.mjs";

/**
 * The browser starts with the first tab, and again with the next tab after `killed`.
 *
 * @param {any} world
 * @param {{ collections: object, options?: object, user?: string, name?: string }} settings
 */
export async function profileDevice(world, { collections, options, user = "ann", name = "profile" }) {
  const directory = await mkdtemp(path.join(os.tmpdir(), "tidewire-profile-"));
  const proxy = await startProxy(() => world.server.port);
  const token = await world.server.token(user, world.tenant);
  const address = Device.address(world.page, { proxy, token, collections, options });
  let context;
  const newTab = async () => {
    context ??= await launchProfile(directory);
    return new ChromiumTab(await context.newPage());
  };
  const close = async () => {
    await context?.close();
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  };
  /** Ends the browser as a power button would end it, but for the disk. */
  const kill = async () => {
    const gone = new Promise((resolve) => context.once("close", resolve));
    process.kill(await browserPid(directory), "SIGKILL");
    await gone;
    context = undefined;
  };
  /** Stops every process of the browser, or lets them go on. */
  const signal = async (/** @type {NodeJS.Signals} */ name) => void process.kill(-(await browserPid(directory)), name);
  const device = new Device({ name, proxy, address, newTab, close });
  return world.owns(Object.assign(device, { kill, signal }));
}

/** The main process of the browser that uses this profile; it leads a process group of its own. */
async function browserPid(directory) {
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (command.includes(`--user-data-dir=${directory}`) && !command.includes("--type=")) return Number(pid);
  }
  throw new Error("the browser of this profile does not run");
}
