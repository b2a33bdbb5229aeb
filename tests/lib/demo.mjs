/** The demo in a browser window: opening it, adding to it, and what its header says. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { ChromiumTab } from "./chromium.mjs";
import { until } from "./until.mjs";

/** The built demo, and the settings of its server. */
export const DEMO = fileURLToPath(new URL("../../www/dist", import.meta.url));
export const DEMO_CONFIG = readFileSync(new URL("../../www/tidewire.toml", import.meta.url), "utf8");

/** A window of its own, with a profile of its own. */
export async function open(world, stack, name, address, options = {}) {
  const context = await stack.browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const tab = new ChromiumTab(page);
  world.owns({ name, tabs: [tab], close: () => context.close() });
  await page.goto(address);
  await page.getByTestId("status-badge").waitFor();
  return { name, context, page, tab };
}

export async function addCustomer({ page }, name) {
  await page.evaluate(() => void (location.hash = "#/customers/new"));
  await page.getByTestId("field-name").fill(name);
  await page.getByTestId("field-company").fill("Analytical Engines");
  await page.getByTestId("create").click();
  return idInAddress(page, "customers");
}

export async function addProposal({ page }, customer, title) {
  await page.evaluate(() => void (location.hash = "#/proposals/new"));
  await page.getByTestId("field-title").fill(title);
  await page.getByTestId("field-customerId").fill(customer);
  await page.getByTestId("field-customerId").press("Enter");
  await page.getByTestId("field-amount").fill("12500");
  await page.getByTestId("create").click();
  return idInAddress(page, "proposals");
}

/** The demo shows what was just made: its id is in the address. */
async function idInAddress(page, collection) {
  await page.waitForURL(new RegExp(`#/${collection}/(?!new)`));
  return new URL(page.url()).hash.split("/")[2];
}

/** The badge in the header reaches this. */
export function badge({ name, page }, { state, pending: count }, options) {
  const button = page.getByTestId("status-badge");
  const seen = () => Promise.all(["data-state", "data-pending"].map((attribute) => button.getAttribute(attribute)));
  const reached = async () => {
    const now = await seen();
    if (now[0] !== state || now[1] !== count) throw new Error(now.join(", "));
    return true;
  };
  return until(`${name}: the badge says ${state}, ${count} pending`, reached, options);
}

/** The window shows this text in the detail of an entity. */
export async function shows({ name, page }, collection, id, text) {
  await page.evaluate((hash) => void (location.hash = hash), `#/${collection}/${id}`);
  const detail = page.getByTestId("detail");
  await until(`${name} shows ${text}`, async () => {
    const fields = await detail.locator("input, textarea").evaluateAll((inputs) => inputs.map((input) => input.value));
    return [await detail.innerText(), ...fields].some((shown) => shown.includes(text));
  });
}

export function uncaught({ tab }) {
  return tab.console.filter((line) => line.startsWith("uncaught"));
}
