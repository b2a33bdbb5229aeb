/**
 * What a test file stands on: one server, one host of the test page, one browser; and `scenario`, a test with a
 * deadline that leaves its evidence in `artifacts/` when it fails and its processes nowhere.
 */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { ChromiumTab, launchChromium } from "./chromium.mjs";
import { Device } from "./device.mjs";
import { startProxy } from "./proxy.mjs";
import { startServer } from "./server.mjs";
import { serveFiles } from "./static.mjs";
import { openWebDriver } from "./webdriver.mjs";

const HERE = fileURLToPath(new URL("..", import.meta.url));
export const PAGE = path.join(HERE, "dist");
const ARTIFACTS = path.join(HERE, "artifacts");

/**
 * Registers the hooks of this file and returns what its scenarios use.
 *
 * @param {{
 *   engine?: string, config?: string | ((port: string) => string), files?: string, page?: string, launch?: object,
 * }} [options] `config` (a text, or what makes it from the page's port) and `files` are the server's; `page` is the
 *   directory of the page under test; `launch` are options of Playwright's for Chromium.
 */
export function useStack({ engine = "chromium", config, files, page = PAGE, launch } = {}) {
  const stack = /** @type {any} */ ({ engine });
  before(
    async () => {
      stack.page = await serveFiles(page);
      const text = typeof config === "function" ? config(new URL(stack.page.url).port) : config;
      stack.server = await startServer({ config: text, files });
      if (engine === "chromium") stack.browser = await launchChromium(launch);
    },
    { timeout: 60_000 },
  );
  after(
    async () => {
      await stack.browser?.close();
      await Promise.allSettled([stack.page?.close(), stack.server?.close()]);
    },
    { timeout: 30_000 },
  );
  return stack;
}

/** One test. `body` gets a world of its own: a fresh tenant on the server, and devices that are closed after it. */
export function scenario(stack, name, body, { timeoutMs = 180_000 } = {}) {
  test(name, { timeout: timeoutMs + 30_000 }, async () => {
    const world = new World(stack);
    let timer;
    const deadline = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done after ${timeoutMs} ms`)), timeoutMs);
    });
    try {
      await Promise.race([body(world), deadline]);
    } catch (error) {
      await world.keepEvidence(name, error).catch((problem) => console.error(`no evidence kept: ${problem.message}`));
      throw error;
    } finally {
      clearTimeout(timer);
      await world.close();
    }
  });
}

let worlds = 0;

class World {
  devices = [];
  tenant = `t${process.pid}_${(worlds += 1)}`;
  #stack;

  constructor(stack) {
    this.#stack = stack;
  }

  get server() {
    return this.#stack.server;
  }

  get page() {
    return this.#stack.page.url;
  }

  /** What happens to requests for files of the page, until the end of the test. */
  get faults() {
    return this.#stack.page.faults;
  }

  /**
   * A device of `user` with one tab open. `line` is what happens to its line before that.
   *
   * @param {{
   *   user?: string, name?: string, collections?: object, options?: object, tabs?: number, tokenSeconds?: number,
   *   line?: (proxy: Awaited<ReturnType<typeof startProxy>>) => void, accounts?: string[],
   *   rest?: { port: number, events?: string, remembers?: boolean },
   * }} [settings] `accounts` sign in on this device, each with a token of their own. `rest`: not our server is behind
   *   the line, but this one, by the backend of the package's example.
   */
  async device({
    user = "ann",
    name = user,
    collections = { todos: {} },
    options,
    line,
    tabs = 1,
    tokenSeconds,
    accounts,
    rest,
  } = {}) {
    const proxy = await startProxy(() => (rest ?? this.server).port);
    line?.(proxy);
    const token = await this.server.token(user, this.tenant, tokenSeconds);
    const renewed = tokenSeconds && (await this.server.token(user, this.tenant));
    const tokenOf = async (account) => [account, await this.server.token(account, this.tenant)];
    const tokens = accounts && Object.fromEntries(await Promise.all(accounts.map(tokenOf)));
    const address = Device.address(this.page, { proxy, token, tokens, renewed, collections, options, rest });
    const device = new Device({
      name: `${name}-${this.devices.length + 1}`,
      proxy,
      address,
      ...(await this.#profile()),
    });
    this.devices.push(device);
    for (let i = 0; i < tabs; i += 1) await device.tab();
    return device;
  }

  /** What the server holds. */
  rows(collection) {
    return this.server.rows(collection, { tenant: this.tenant });
  }

  /** Takes over something that must be closed with this world. */
  owns(device) {
    this.devices.push(device);
    return device;
  }

  async close() {
    this.faults.before = () => undefined;
    await Promise.allSettled(this.devices.map((device) => device.close()));
  }

  /** Screenshot, console and requests of each device, and the server's log. */
  async keepEvidence(name, error) {
    const directory = path.join(ARTIFACTS, name.replace(/[^a-z0-9]+/gi, "-").slice(0, 80));
    await mkdir(directory, { recursive: true });
    await writeFile(path.join(directory, "error.txt"), `${error.stack}\n`);
    await writeFile(path.join(directory, "server.log"), (this.server?.output ?? []).join("\n"));
    for (const device of this.devices) {
      const requests = device.proxy?.log.map((entry) => JSON.stringify({ ...entry, body: entry.body.slice(0, 2_000) }));
      if (requests) await writeFile(path.join(directory, `${device.name}.requests.log`), requests.join("\n"));
      for (const [index, tab] of device.tabs.entries())
        await this.#keepTab(directory, `${device.name}.tab${index + 1}`, tab);
    }
  }

  async #keepTab(directory, name, tab) {
    const withinSeconds = (promise) => Promise.race([promise, new Promise((resolve) => setTimeout(resolve, 4_000))]);
    await writeFile(path.join(directory, `${name}.console.log`), tab.console.join("\n"));
    const state = await withinSeconds(tab.run(pageState).catch((error) => `page does not answer: ${error.message}`));
    await writeFile(path.join(directory, `${name}.state.json`), JSON.stringify(state ?? "no answer", null, 1));
    const picture = await withinSeconds(tab.screenshot().catch(() => undefined));
    if (picture) await writeFile(path.join(directory, `${name}.png`), picture);
  }

  async #profile() {
    if (this.#stack.engine !== "chromium") {
      const tab = await openWebDriver(this.#stack.engine);
      return { newTab: () => tab, close: async () => {} };
    }
    const context = await this.#stack.browser.newContext();
    return { context, newTab: async () => new ChromiumTab(await context.newPage()), close: () => context.close() };
  }
}

/** Runs in the page. */
async function pageState() {
  const { tw } = window;
  if (!tw) return { page: document.body.innerText.slice(0, 5_000) };
  const { events, states, asked, errors } = tw;
  return {
    status: tw.db.sync.status.peek(),
    queue: await tw.queue(),
    events: events.slice(-100),
    states: states.slice(-100),
    asked,
    errors,
  };
}
