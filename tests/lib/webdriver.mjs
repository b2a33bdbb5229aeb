/**
 * A small client of W3C WebDriver on `fetch`, for Firefox (geckodriver) and WebKitGTK (WebKitWebDriver under xvfb-run).
 * One driver process and one session for each device: every device is a browser profile of its own.
 */
import { existsSync } from "node:fs";
import net from "node:net";

import { start } from "./processes.mjs";
import { until } from "./until.mjs";

const WEBKIT_MINIBROWSER = [
  "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser",
  "/usr/lib/aarch64-linux-gnu/webkit2gtk-4.1/MiniBrowser",
];

/** How MiniBrowser is started. */
export const WEBKIT = {
  binary: WEBKIT_MINIBROWSER.find(existsSync) ?? WEBKIT_MINIBROWSER[0],
  env: { WEBKIT_DISABLE_COMPOSITING_MODE: "1", WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1" },
};

const firefox = (prefs) => ({
  command: (port) => ["geckodriver", ["--port", String(port), "--log", "warn"]],
  capabilities: (profile) => ({
    browserName: "firefox",
    "moz:firefoxOptions": {
      binary: "/usr/bin/firefox-esr",
      args: ["-headless", ...(profile ? ["-profile", profile] : [])],
      prefs,
    },
  }),
  env: { MOZ_REMOTE_SETTINGS_DEVTOOLS: "1" },
});

const ENGINES = {
  firefox: firefox({}),
  // Every window is a private one.
  "firefox-private": firefox({ "browser.privatebrowsing.autostart": true }),
  webkit: {
    command: (port) => ["xvfb-run", ["-a", "/usr/bin/WebKitWebDriver", `--port=${port}`]],
    capabilities: () => ({
      browserName: "MiniBrowser",
      "webkitgtk:browserOptions": {
        binary: WEBKIT.binary,
        args: ["--automation"],
      },
    }),
    env: WEBKIT.env,
  },
};

/**
 * Opens one browser with a fresh profile, or, of Firefox, with the one in a directory.
 *
 * @param {string} engine
 * @param {{ profile?: string }} [options]
 */
export async function openWebDriver(engine, { profile } = {}) {
  const { command, capabilities, env } = ENGINES[engine];
  const port = await freePort();
  const [program, args] = command(port);
  const driver = await start(program, args, { env, name: engine });
  const base = `http://127.0.0.1:${port}`;
  await until(`${engine}'s driver answers`, async () => (await fetch(`${base}/status`)).ok);
  const session = await call(`${base}/session`, { capabilities: { alwaysMatch: capabilities(profile) } });
  return new WebDriverTab(`${base}/session/${session.sessionId}`, driver);
}

/** One page; the same face as a Chromium tab in `chromium.mjs`. */
class WebDriverTab {
  #session;
  #driver;

  constructor(session, driver) {
    this.#session = session;
    this.#driver = driver;
  }

  async open(url) {
    await call(`${this.#session}/timeouts`, { script: 60_000, pageLoad: 60_000 });
    await call(`${this.#session}/url`, { url });
  }

  reload() {
    return call(`${this.#session}/refresh`, {});
  }

  /** Runs a function in the page and returns its result, which must be JSON. */
  async run(fn, arg) {
    const script = `const done = arguments[1];
      Promise.resolve().then(() => (${fn})(arguments[0])).then(
        (value) => done({ value: value === undefined ? null : value }),
        (error) => done({ error: (error && (error.code ? error.code + ": " : "") + (error.message || error)) + "" }));`;
    const answer = await call(`${this.#session}/execute/async`, { script, args: [arg ?? null] });
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer.value;
  }

  async screenshot() {
    const response = await fetch(`${this.#session}/screenshot`, { signal: AbortSignal.timeout(3_000) });
    return Buffer.from((await response.json()).value ?? "", "base64");
  }

  get console() {
    return this.#driver.lines;
  }

  /** Ends the driver and its browser as a power button would, but for the disk. */
  kill() {
    return this.#driver.stop("SIGKILL");
  }

  async close() {
    await fetch(this.#session, { method: "DELETE", signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
    await this.#driver.stop("SIGTERM");
  }
}

async function call(url, body) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(60_000),
  });
  const { value } = await response.json();
  if (!response.ok) throw new Error(`${value?.error}: ${value?.message}`);
  return value;
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = net.createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = /** @type {net.AddressInfo} */ (probe.address());
      probe.close(() => resolve(port));
    });
  });
}
