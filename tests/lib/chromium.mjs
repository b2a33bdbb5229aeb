/** Chromium by playwright-core: one browser for a test file, one context (a profile in memory) for each device. */
import { chromium } from "playwright-core";

const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // A name that is this machine, and that Chromium does not trust as it trusts localhost.
  "--host-resolver-rules=MAP insecure.test 127.0.0.1",
];
const OPTIONS = { executablePath: "/usr/bin/chromium", args: ARGS, headless: true };

export function launchChromium(options = {}) {
  return chromium.launch({ ...OPTIONS, ...options });
}

/** A browser process with its profile on the disk, for tests that kill it. */
export function launchProfile(directory) {
  return chromium.launchPersistentContext(directory, OPTIONS);
}

/** One page; the same face as a WebDriver tab. */
export class ChromiumTab {
  console = [];

  constructor(page) {
    this.page = page;
    page.setDefaultTimeout(120_000);
    page.on("console", (message) => this.console.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => this.console.push(`uncaught: ${error.stack ?? error.message}`));
  }

  async open(url) {
    await this.page.goto(url);
  }

  async reload() {
    await this.page.reload();
  }

  /** Runs a function in the page and returns its result, which must be JSON. */
  run(fn, arg) {
    return this.page.evaluate(fn, arg);
  }

  screenshot() {
    return this.page.screenshot({ timeout: 5_000 });
  }

  async close() {
    await this.page.close();
  }

  /** Kills the renderer as a bug in it would. */
  async crash() {
    const crashed = new Promise((resolve) => this.page.once("crash", resolve));
    const session = await this.page.context().newCDPSession(this.page);
    session.send("Page.crash").catch(() => undefined);
    await crashed;
  }

  /** Stops the page as a freeze does: it runs nothing, and keeps its lock. Returns what lets it go on. */
  async freeze() {
    const session = await this.page.context().newCDPSession(this.page);
    await session.send("Debugger.enable");
    // It takes hold at the next task of the page.
    await session.send("Debugger.pause");
    return async () => {
      await session.send("Debugger.disable");
      await session.detach();
    };
  }
}
