/**
 * WebKitGTK with its profile on the disk. What its driver opens keeps everything in memory, so here the browser runs
 * without a driver, and the test page asks this process over HTTP what to do next.
 */
import http from "node:http";

import { start } from "./processes.mjs";
import { WEBKIT } from "./webdriver.mjs";

/** One page; the same face as a WebDriver tab. */
export class PolledTab {
  #directory;
  #browser;
  #server;
  #tasks = [];
  /** The page that waits for the next task. */
  #waiting;
  #done = new Map();
  #count = 0;

  /** @param {string} directory of the profile */
  constructor(directory) {
    this.#directory = directory;
  }

  async open(url) {
    const [page, settings] = url.split("#");
    this.#server = http.createServer((request, response) => void this.#answer(request, response));
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", () => resolve(undefined)));
    const { port } = /** @type {import("node:net").AddressInfo} */ (this.#server.address());
    const polled = { ...JSON.parse(decodeURIComponent(settings)), orders: `http://localhost:${port}` };
    const address = `${page}#${encodeURIComponent(JSON.stringify(polled))}`;
    const inside = (name) => `${this.#directory}/${name}`;
    this.#browser = await start("xvfb-run", ["-a", WEBKIT.binary, address], {
      env: {
        ...WEBKIT.env,
        HOME: this.#directory,
        ...{ XDG_DATA_HOME: inside("data"), XDG_CACHE_HOME: inside("cache"), XDG_CONFIG_HOME: inside("config") },
      },
      name: "MiniBrowser",
    });
  }

  /** Runs a function in the page and returns its result, which must be JSON. */
  run(fn, arg) {
    const id = (this.#count += 1);
    const result = new Promise((resolve, reject) => this.#done.set(id, { resolve, reject }));
    this.#tasks.push({ id, code: `(${fn})(${JSON.stringify(arg ?? null)})` });
    this.#hand();
    return result;
  }

  async screenshot() {
    return undefined;
  }

  get console() {
    return this.#browser?.lines ?? [];
  }

  /** Ends the browser as a power button would, but for the disk. */
  async kill() {
    await this.#browser?.stop("SIGKILL");
    await this.close();
  }

  async close() {
    await this.#browser?.stop("SIGTERM");
    this.#server?.closeAllConnections();
    await new Promise((resolve) => this.#server?.close(resolve) ?? resolve(undefined));
  }

  async #answer(request, response) {
    response.setHeader("access-control-allow-origin", "*");
    response.setHeader("cache-control", "no-store");
    let body = "";
    for await (const chunk of request) body += chunk;
    if (body !== "") {
      const { id, value, error } = JSON.parse(body);
      const done = this.#done.get(id);
      if (error === undefined) done?.resolve(value);
      else done?.reject(new Error(error));
    }
    this.#waiting = response;
    this.#hand();
  }

  #hand() {
    if (this.#waiting === undefined || this.#tasks.length === 0) return;
    this.#waiting.end(JSON.stringify(this.#tasks.shift()));
    this.#waiting = undefined;
  }
}
