/** The demo as a person uses it: opened from the server and from another port, offline, reloaded, and back. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { addCustomer, addProposal, badge, DEMO, DEMO_CONFIG, open, shows, uncaught } from "../lib/demo.mjs";
import { scenario, useStack } from "../lib/stack.mjs";
import { until } from "../lib/until.mjs";

describe("the demo", () => {
  const stack = useStack({ files: DEMO, page: DEMO, config: DEMO_CONFIG });
  const places = {
    "the server": (user) => `${stack.server.url.replace("127.0.0.1", "localhost")}/?user=${user}`,
    "another port": (user) => `${stack.page.url}/?user=${user}&server=${encodeURIComponent(stack.server.url)}`,
  };
  const [[, atServer], [, elsewhere]] = Object.entries(places);

  for (const [place, address] of Object.entries(places)) {
    scenario(
      stack,
      `served by ${place}: what is edited offline outlives a reload and reaches another window`,
      async (world) => {
        const other = address === atServer ? elsewhere : atServer;
        const ours = await open(world, stack, "ours", address("alice"));
        const theirs = await open(world, stack, "theirs", other("bob"));
        const name = `Ada of ${world.tenant}`;
        const customer = await addCustomer(ours, name);
        const proposal = await addProposal(ours, name, `Engine for ${world.tenant}`);
        await badge(ours, { state: "synced", pending: "0" });
        await shows(theirs, "customers", customer, name);
        await shows(theirs, "proposals", proposal, "Engine for");

        await ours.page.evaluate(async () => void (await navigator.serviceWorker.ready));
        await ours.context.setOffline(true);
        await ours.page.goto(`${address("alice")}#/customers/${customer}`);
        await ours.page.getByTestId("field-city").fill("Bergen");
        await ours.page.getByTestId("field-city").press("Enter");
        const second = await addCustomer(ours, `Offline ${name}`);
        await until("two entities are pending", async () => (await pending(ours)) >= 2);
        await ours.page.reload();
        await ours.page.getByTestId("pending-count").waitFor();
        assert.ok((await pending(ours)) >= 2, "still pending after a reload without a network");
        await shows(ours, "customers", customer, "Bergen");

        await ours.context.setOffline(false);
        await badge(ours, { state: "synced", pending: "0" });
        await shows(theirs, "customers", customer, "Bergen");
        await shows(theirs, "customers", second, `Offline ${name}`);
        const stored = await world.server.rows("customers", { user: "alice" });
        assert.equal(stored.get(customer).city, "Bergen");
        assert.equal(stored.get(second).name, `Offline ${name}`);
        assert.deepEqual(uncaught(ours).concat(uncaught(theirs)), []);
      },
    );
  }

  scenario(stack, "every page has one main heading, beside the list and on a phone over it", async (world) => {
    const ours = await open(world, stack, "ours", atServer("alice"));
    const name = `Ada of ${world.tenant}`;
    const customer = await addCustomer(ours, name);
    const headings = { customers: "Customers", [`customers/${customer}`]: name, "customers/new": "New customer" };
    for (const viewport of [
      { width: 390, height: 844 },
      { width: 1280, height: 800 },
    ]) {
      await ours.page.setViewportSize(viewport);
      for (const [address, heading] of Object.entries({ ...headings, import: "Import", queue: "Sync" })) {
        await ours.page.evaluate((hash) => void (location.hash = hash), `#/${address}`);
        await until(`${address} at ${viewport.width} has the heading ${heading}`, async () => {
          const shown = await ours.page.locator("h1:visible").allInnerTexts();
          if (shown.length !== 1 || shown[0] !== heading) throw new Error(JSON.stringify(shown));
          return true;
        });
      }
    }
  });

  scenario(
    stack,
    "the sample data goes in with one button, through the queue, and the other window gets all of it",
    async (world) => {
      const ours = await open(world, stack, "ours", `${atServer("alice")}#/movies`);
      await ours.page.getByTestId("offline-switch").click();
      await ours.page.getByTestId("import-sample").click();
      await until("3,201 films are listed", async () => (await total(ours, "movie-list")) === 3_201);
      assert.equal((await world.server.rows("movies", { user: "alice" })).size, 0);
      await ours.page.getByTestId("offline-switch").click();
      await badge(ours, { state: "synced", pending: "0" });
      const theirs = await open(world, stack, "theirs", `${elsewhere("bob")}#/movies`);
      await until("the other window lists them", async () => (await total(theirs, "movie-list")) === 3_201);
      assert.equal((await world.server.rows("movies", { user: "alice" })).size, 3_201);
    },
  );
});

async function pending({ page }) {
  return Number(await page.getByTestId("status-badge").getAttribute("data-pending"));
}

async function total({ page }, list) {
  const found = page.getByTestId(list);
  return (await found.count()) > 0 ? Number(await found.getAttribute("data-total")) : 0;
}
