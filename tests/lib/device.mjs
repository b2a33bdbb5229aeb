/**
 * One device: a browser profile with one or more tabs on the same database, behind a line of its own that can fail.
 * Everything that a test does in the page goes through `run`; the functions there see `window.tw` of `page/main.js`.
 */
import { until } from "./until.mjs";

/** Quick retries: a test must not wait for a backoff of seconds. */
const OPTIONS = { retry: { initialMs: 100, maxMs: 800 }, timeoutMs: 10_000, pollMs: { visible: 1_000, hidden: 1_000 } };

/**
 * @typedef {object} Parts
 * @property {string} name
 * @property {Awaited<ReturnType<typeof import("./proxy.mjs").startProxy>>} proxy
 * @property {string} address
 * @property {() => any} newTab
 * @property {() => Promise<void>} close
 * @property {import("playwright-core").BrowserContext} [context]
 */

export class Device {
  /** @type {Tab[]} */
  tabs = [];
  #newTab;
  #close;

  /** @param {Parts} parts */
  constructor({ name, proxy, address, newTab, close, context }) {
    this.name = name;
    this.proxy = proxy;
    this.address = address;
    this.context = context;
    this.#newTab = newTab;
    this.#close = close;
  }

  /**
   * The settings of the test page, as the part of its address after `#`.
   *
   * @param {string} page
   * @param {{
   *   proxy: Parts["proxy"], token: string, tokens?: object, renewed?: string | number, collections: object,
   *   options?: object, name?: string, rest?: { events?: string, remembers?: boolean },
   * }} settings
   */
  static address(page, { proxy, token, tokens, renewed, collections, options, rest, name = "tests" }) {
    const { events, remembers } = rest ?? {};
    const settings = {
      ...{ name, url: proxy.url, token, tokens, renewed, collections },
      rest: rest && { events, remembers },
      options: { ...OPTIONS, ...options },
    };
    return `${page}/#${encodeURIComponent(JSON.stringify(settings))}`;
  }

  /** Opens another tab; `script` runs in it before the page does. */
  async tab({ address = this.address, script, arg } = /** @type {any} */ ({})) {
    const tab = new Tab(await this.#newTab(), this);
    this.tabs.push(tab);
    if (script) await tab.raw.page.addInitScript(script, arg);
    await tab.open(address);
    return tab;
  }

  get first() {
    return this.tabs[0];
  }

  /** No connection of this device gets through any more. */
  offline() {
    this.proxy.refuse();
  }

  online() {
    this.proxy.heal();
  }

  async close() {
    await Promise.allSettled(this.tabs.map((tab) => tab.close()));
    await Promise.allSettled([this.#close(), this.proxy.close()]);
  }
}

for (const name of ["run", "until", "reload", "rows", "queue", "status", "drained", "synced", "agrees"]) {
  Device.prototype[name] = function (...args) {
    return this.first[name](...args);
  };
}

/** One tab of a device. */
export class Tab {
  #tab;

  constructor(tab, device) {
    this.#tab = tab;
    this.device = device;
  }

  get raw() {
    return this.#tab;
  }

  async open(url) {
    await this.#tab.open(url);
    await this.#opened();
  }

  async reload() {
    await this.#tab.reload();
    await this.#opened();
  }

  run(fn, arg) {
    return this.#tab.run(fn, arg);
  }

  /** Waits until a function in the page is truthy. */
  until(what, fn, arg, options) {
    return until(`${this.device.name}: ${what}`, () => this.#tab.run(fn, arg), options);
  }

  rows(collection) {
    return this.run((name) => window.tw.rows(name), collection);
  }

  queue() {
    return this.run(() => window.tw.queue());
  }

  status() {
    return this.run(() => JSON.parse(JSON.stringify(window.tw.db.sync.status.peek() ?? null)));
  }

  /** Waits until every write has a verdict. */
  drained(options) {
    return until(
      `${this.device.name}: nothing pending`,
      async () => {
        const status = await this.status();
        if (status?.pending !== 0) throw new Error(JSON.stringify({ status }));
        // A long queue is megabytes: asking for it again and again would keep the page from sending it.
        const queue = await this.queue();
        if (queue.pending.length > 0) throw new Error(JSON.stringify({ status, queue }));
        return true;
      },
      options,
    );
  }

  /** Waits until nothing is pending and the status says synced. */
  async synced(options) {
    await this.drained(options);
    await until(
      `${this.device.name}: status synced`,
      async () => {
        const status = await this.status();
        return status.state === "synced" ? true : Promise.reject(new Error(JSON.stringify(status)));
      },
      options,
    );
  }

  /** Waits until a collection's rows equal these: a map from id to document. */
  agrees(collection, expected, options) {
    const want = canonical([...expected].map(([id, { $rev, ...doc }]) => ({ id, ...doc })));
    return until(
      `${this.device.name}: ${collection} agrees`,
      async () => {
        const have = canonical(await this.rows(collection));
        return have === want
          ? true
          : Promise.reject(new Error(`\nhave ${have.slice(0, 1500)}\nwant ${want.slice(0, 1500)}`));
      },
      options,
    );
  }

  screenshot() {
    return this.#tab.screenshot();
  }

  get console() {
    return this.#tab.console;
  }

  close() {
    return this.#tab.close();
  }

  async #opened() {
    await this.until("the test page is up", () => Boolean(window.tw));
  }
}

/** Rows in canonical form: by id, keys sorted at every level. */
export function canonical(rows) {
  return JSON.stringify(rows.map(sorted).sort((a, b) => (a.id < b.id ? -1 : 1)));
}

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}
