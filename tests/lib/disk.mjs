/** A browser whose profile lies on the disk, in each engine, and what a thief of that disk would find in it. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

import { ChromiumTab, launchProfile } from "./chromium.mjs";
import { Device } from "./device.mjs";
import { PolledTab } from "./polled.mjs";
import { startProxy } from "./proxy.mjs";
import { openWebDriver } from "./webdriver.mjs";

/** Characters of a word that are looked for at once: enough not to be there by chance. */
const PIECE = 12;

/** How to start each engine on a profile. The tab that comes ends the browser when it is closed. */
const ENGINES = {
  chromium: async (directory) => {
    const context = await launchProfile(directory);
    const tab = new ChromiumTab(await context.newPage());
    tab.close = () => context.close();
    return tab;
  },
  firefox: (directory) => openWebDriver("firefox", { profile: directory }),
  webkit: async (directory) => new PolledTab(directory),
};

/**
 * A device of this engine without a tab. Each tab that is opened starts the browser anew, so there is one at a time.
 *
 * @param {any} world
 * @param {keyof typeof ENGINES} engine
 * @param {{ collections?: object, options?: object }} settings
 */
export async function diskDevice(world, engine, { collections = { todos: {} }, options }) {
  const directory = await mkdtemp(path.join(os.tmpdir(), `tidewire-disk-${engine}-`));
  const proxy = await startProxy(() => world.server.port);
  const token = await world.server.token("ann", world.tenant);
  const addressFor = (declared) =>
    Device.address(world.page, { proxy, token, collections: declared, options });
  const device = new Device({
    name: engine,
    proxy,
    address: addressFor(collections),
    newTab: () => ENGINES[engine](directory),
    close: () => rm(directory, { recursive: true, force: true, maxRetries: 5 }),
  });
  return Object.assign(world.owns(device), {
    /** Ends the browser, as closing its window does. */
    quit: async () => {
      for (const tab of device.tabs.splice(0)) await tab.close();
    },
    /** From the next tab on. */
    declare: (declared) => void (device.address = addressFor(declared)),
    finds: (words) => wordsIn(directory, words),
  });
}

/**
 * Which of these words stand in any file below a directory, as UTF-8 or as UTF-16. A piece of one is enough: what
 * browsers and the log compress may be taken apart.
 */
async function wordsIn(directory, words) {
  const found = new Set();
  const wanted = words.map((word) => [word, ...pieces(word)]);
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    // A browser that runs may have deleted it since.
    const bytes = await readFile(path.join(entry.parentPath, entry.name)).catch(() => Buffer.alloc(0));
    for (const [word, ...forms] of wanted) if (forms.some((form) => bytes.includes(form))) found.add(word);
  }
  return words.filter((word) => found.has(word));
}

function pieces(word) {
  const texts = word.match(new RegExp(`.{${PIECE}}`, "g")) ?? [];
  return texts.flatMap((text) => [Buffer.from(text, "utf8"), Buffer.from(text, "utf16le")]);
}
