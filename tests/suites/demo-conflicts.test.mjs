/** The conflict inbox of the demo: two people write the same fields, and their author decides, offline too. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { addOffer, conflicted, waiting } from "../lib/demo-conflicts.mjs";
import { badge, DEMO, DEMO_CONFIG, open, shows, uncaught } from "../lib/demo.mjs";
import { scenario, useStack } from "../lib/stack.mjs";
import { until } from "../lib/until.mjs";

const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };
/** The smallest target for a finger, in CSS pixels. */
const TARGET = 44;

describe("the conflict inbox of the demo", () => {
  const stack = useStack({ files: DEMO, page: DEMO, config: DEMO_CONFIG });
  const address = (user) => `${stack.server.url.replace("127.0.0.1", "localhost")}/?user=${user}`;

  /** Two windows of two people. `options` are those of our window. */
  async function windows(world, options) {
    const us = world.tenant.replace("_", "-");
    const ours = await open(world, stack, "ours", address(`ann-${us}`), options);
    const theirs = await open(world, stack, "theirs", address(`ben-${us}`));
    for (const window of [ours, theirs]) await watchToasts(window);
    return { ours, theirs };
  }

  scenario(
    stack,
    "two windows write the same fields: mine waits, is decided by keyboard, undone, and decided offline",
    async (world) => {
      const { ours, theirs } = await windows(world);
      const id = await addOffer(ours, { title: `Sign for ${world.tenant}`, amount: 12_500 });
      await shows(theirs, "proposals", id, world.tenant);

      await ours.page.getByTestId("offline-switch").click();
      await shows(ours, "proposals", id, world.tenant);
      await write(ours, "amount", "11000");
      await write(ours, "title", `Sign, final, for ${world.tenant}`);
      await write(theirs, "amount", "20000");
      await write(theirs, "title", `Sign, revised, for ${world.tenant}`);
      await badge(theirs, { state: "synced", pending: "0" });
      await ours.page.getByTestId("offline-switch").click();
      await waiting(ours, 1);

      // Ours shows ours, theirs shows theirs, and both say what they should.
      await shows(ours, "proposals", id, "11000");
      await ours.page.getByTestId("row-conflict").waitFor();
      assert.equal(await ours.page.getByTestId("conflict-link").count(), 1, "the row is marked too");
      await shows(theirs, "proposals", id, "20000");
      assert.equal(await theirs.page.getByTestId("conflict-badge").count(), 0, "it is ours to decide");

      await ours.page.getByTestId("decide").press("Enter");
      const fields = ours.page.getByTestId("conflict-field");
      assert.deepEqual(await paths(fields), ["/amount", "/title"]);
      await seesVersions(fields.first(), { base: "€12,500", mine: "€11,000−€1,500", theirs: "€20,000+€7,500" });
      const marked = await fields.nth(1).locator("ins").allInnerTexts();
      assert.ok(marked.join(" ").includes("final") && marked.join(" ").includes("revised"), marked.join(" | "));

      // Keys alone: theirs for the first field, a text of one's own for the second.
      const { keyboard } = ours.page;
      await keyboard.press("t");
      await preview(ours, "amount", "€20,000");
      await keyboard.press("j");
      await keyboard.press("e");
      const editor = ours.page.getByTestId("conflict-editor");
      await editor.waitFor();
      assert.ok(await editor.evaluate((input) => input === document.activeElement), "the editor has the focus");
      await editor.fill(`Sign of both for ${world.tenant}`);
      await preview(ours, "title", `Sign of both for ${world.tenant}`);
      await keyboard.press("Enter");
      await waiting(ours, 0);
      await badge(ours, { state: "synced", pending: "0" });
      await shows(theirs, "proposals", id, `Sign of both for ${world.tenant}`);
      assert.equal((await stored(world, "proposals", id)).amount, 20_000);

      // Undone by a key: it waits again, and theirs stands as before.
      await ours.page.getByTestId("empty-state").waitFor();
      await keyboard.press("z");
      await waiting(ours, 1);
      await badge(ours, { state: "synced", pending: "0" });
      await ours.page.getByTestId("conflict-field").first().waitFor();
      await until("theirs stands again", async () =>
        (await stored(world, "proposals", id)).title.includes("revised"),
      );

      // Decided without a network: gone here at once, and sent when the network is back.
      assert.deepEqual(await settingsToasts(ours), [], "page and server have the same settings");
      await ours.context.setOffline(true);
      await ours.page.getByTestId("sends-later").waitFor();
      await ours.page.getByTestId("keep-mine").click();
      await waiting(ours, 0);
      await ours.page.reload();
      await ours.page.getByTestId("pending-count").waitFor();
      await waiting(ours, 0);
      assert.equal((await stored(world, "proposals", id)).amount, 20_000, "nothing was sent yet");
      await ours.context.setOffline(false);
      await badge(ours, { state: "synced", pending: "0" });
      assert.equal((await stored(world, "proposals", id)).amount, 11_000);
      await shows(theirs, "proposals", id, `Sign, final, for ${world.tenant}`);
      assert.deepEqual(uncaught(ours).concat(uncaught(theirs)), []);
    },
  );

  scenario(
    stack,
    "a value that a rule overwrote is listed, put back with one button, and the putting back is undone",
    async (world) => {
      const { ours, theirs } = await windows(world);
      const id = await ours.page.evaluate(async (name) => {
        const write = window.tidewire.db.customers.insert({ name, city: "Oslo" });
        await write.server({ timeoutMs: 60_000 });
        return write.id;
      }, `Ada of ${world.tenant}`);
      await shows(theirs, "customers", id, "Oslo");
      await ours.page.getByTestId("offline-switch").click();
      await shows(ours, "customers", id, "Oslo");
      await write(ours, "city", "Bergen");
      await write(theirs, "city", "Tromsø");
      await badge(theirs, { state: "synced", pending: "0" });
      await ours.page.getByTestId("offline-switch").click();
      await shows(ours, "customers", id, "Tromsø");

      const history = ours.page.getByTestId("conflict-history");
      await history.getByRole("link").click();
      const field = ours.page.getByTestId("settled-field");
      await until("both values and the one that stands", async () =>
        /Bergen.*Tromsø.*Tromsø/s.test(await field.innerText()),
      );
      await ours.page.getByTestId("restore").click();
      await shows(theirs, "customers", id, "Bergen");
      await ours.page.getByTestId("toast-action").last().click();
      await shows(theirs, "customers", id, "Tromsø");
      assert.equal((await stored(world, "customers", id)).city, "Tromsø");
      assert.deepEqual(uncaught(ours), []);
    },
  );

  scenario(stack, "a field inside of others, removed by somebody else, is said to be so", async (world) => {
    const { ours, theirs } = await windows(world);
    const id = await ours.page.evaluate(async () => {
      const { records } = window.tidewire.db;
      const write = records.insert({ n: 7, source: "list.json", data: { place: { city: "Oslo", street: "Quay" } } });
      await write.server({ timeoutMs: 60_000 });
      return write.id;
    });
    await shows(theirs, "records", id, "Oslo");
    const edit = ([record, city]) =>
      window.tidewire.db.records.update(record, [[["data", "place", "city"], city ?? undefined]]);
    await ours.page.evaluate(() => window.tidewire.db.sync.pause());
    await ours.page.evaluate(edit, [id, "Bergen"]);
    await theirs.page.evaluate(edit, [id, null]);
    await until("theirs is on the server", async () => !("city" in (await stored(world, "records", id)).data.place));
    await ours.page.evaluate(() => window.tidewire.db.sync.resume());
    await ours.page.evaluate(() => void (location.hash = "#/settled"));
    await ours.page.getByTestId("conflict-row").click();
    const field = ours.page.getByTestId("settled-field");
    await until("the value that lost, and that the field is gone", async () =>
      /^Data › place › city.*Bergen.*Theirs\s+Removed.*Now\s+Removed/s.test(await field.innerText()),
    );
    await ours.page.getByTestId("restore").click();
    await shows(theirs, "records", id, "Bergen");
  });

  scenario(
    stack,
    "on a phone a conflict is decided by touch, without sideways scrolling and with room for fingers",
    async (world) => {
      const { ours, theirs } = await windows(world, PHONE);
      const [id] = await conflicted(ours, theirs, [`Long enough a title to wrap on any phone, ${world.tenant}`]);
      for (const page of ["conflicts", "settled", "queue", "health", "proposals"]) {
        await ours.page.evaluate((hash) => void (location.hash = hash), `#/${page}`);
        await fits(ours, page);
      }
      await ours.page.evaluate(() => void (location.hash = "#/conflicts"));
      await ours.page.getByTestId("conflict-row").tap();
      await ours.page.getByTestId("merge-preview").waitFor();
      await fits(ours, "a conflict");
      await ours.page.getByTestId("choose-edit").tap();
      await ours.page.getByTestId("conflict-editor").fill("no number");
      await ours.page.getByTestId("keep-merge").tap();
      assert.match(await ours.page.getByTestId("conflict-field").innerText(), /Write the amount as a number/);
      await ours.page.getByTestId("conflict-editor").fill("333");
      await ours.page.getByTestId("keep-merge").tap();
      await waiting(ours, 0);
      await until("the edited value is on the server", async () =>
        (await stored(world, "proposals", id)).amount === 333,
      );
    },
  );

  scenario(
    stack,
    "several at once: chosen by keys, decided by one, undone by one; Escape leads back to the row",
    async (world) => {
      const { ours, theirs } = await windows(world);
      const names = ["One", "Two", "Three"].map((name) => `${name} of ${world.tenant}`);
      const ids = await conflicted(ours, theirs, names);
      await ours.page.evaluate(() => void (location.hash = "#/conflicts"));
      const rows = ours.page.getByTestId("conflict-row");
      await rows.nth(2).waitFor();
      const { keyboard } = ours.page;
      await rows.first().focus();
      await keyboard.press("Enter");
      await ours.page.getByTestId("merge-preview").waitFor();
      await keyboard.press("Escape");
      await until("the row has the focus again", () =>
        rows.first().evaluate((row) => row === document.activeElement),
      );
      for (const key of ["x", "j", "x", "ArrowDown", "x"]) await keyboard.press(key);
      await until("three are chosen", async () => /3 chosen/.test(await ours.page.getByTestId("bulk").innerText()));
      await keyboard.press("t");
      await waiting(ours, 0);
      await badge(ours, { state: "synced", pending: "0" });
      await keyboard.press("Control+z");
      await waiting(ours, 3);
      await badge(ours, { state: "synced", pending: "0" });
      await ours.page.getByTestId("select-all").check();
      await ours.page.getByTestId("bulk-mine").click();
      await waiting(ours, 0);
      for (const id of ids)
        await until("mine is on the server", async () => (await stored(world, "proposals", id)).amount === 1);
      await ours.page.evaluate(() => void (location.hash = "#/settled"));
      await until("all three are listed as decided", async () => (await rows.count()) === 3);
      await ours.page.getByTestId("undo-row").first().click();
      await waiting(ours, 1);
      await until("one waits again, two are decided", async () => (await rows.count()) === 2);
      assert.deepEqual(uncaught(ours), []);
    },
  );

  scenario(stack, "keys that come faster than the screen is drawn go to the field that they meant", async (world) => {
    const { ours, theirs } = await windows(world);
    await conflicted(ours, theirs, [`Quick, ${world.tenant}`], {
      ours: { title: "Ours" },
      theirs: { title: "Theirs" },
    });
    await ours.page.evaluate(() => void (location.hash = "#/conflicts"));
    await ours.page.getByTestId("conflict-row").press("Enter");
    const fields = ours.page.getByTestId("conflict-field");
    await paths(fields);
    await fields.first().locator("input:checked").focus();
    await ours.page.evaluate(async () => {
      const press = (key) =>
        document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
      press("t");
      press("j");
      await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
      press("e");
    });
    await ours.page.getByTestId("conflict-editor").waitFor();
    const choices = await fields.evaluateAll((all) => all.map(({ dataset }) => `${dataset.path} ${dataset.choice}`));
    assert.deepEqual(choices, ["/amount theirs", "/title edit"]);
  });

  scenario(
    stack,
    "a person alone makes a conflict with one button, and decides it",
    async (world) => {
      const solo = `solo-${world.tenant.replace("_", "-")}`;
      const ours = await open(world, stack, "ours", `${address(solo)}#/conflicts`);
      await watchToasts(ours);
      await ours.page.getByTestId("make-conflict").click();
      await waiting(ours, 1);
      await ours.page.getByTestId("conflict-field").nth(1).waitFor();
      const { id, mine } = await ours.page.evaluate(() => {
        const [conflict] = window.tidewire.db.sync.conflicts.list.peek();
        return { id: conflict.id, mine: conflict.mine.amount };
      });
      await ours.page.getByTestId("keep-theirs").click();
      await waiting(ours, 0);
      await badge(ours, { state: "synced", pending: "0" });
      assert.deepEqual(await settingsToasts(ours), []);

      // Days later there is no decision to undo, and what was given up can still be put back.
      await ours.page.goto(`${address(solo)}#/settled`);
      await ours.page.reload();
      await ours.page.getByTestId("conflict-row").click();
      await ours.page.getByTestId("restore").click();
      await until("mine stands", async () => (await stored(world, "proposals", id)).amount === mine);
      assert.deepEqual(uncaught(ours), []);
    },
  );

  /** What the server holds of an entity, in the tenant of the demo. */
  async function stored(world, collection, id) {
    return (await world.server.rows(collection, { user: "ann" })).get(id);
  }
});

/** Writes one field of the entity that is shown, as a person does. */
async function write({ page }, name, text) {
  const field = page.getByTestId(`field-${name}`);
  await field.fill(text);
  await field.press("Enter");
  await until(`${name} is stored`, async () => (await page.locator(".field-saved").allInnerTexts()).includes("Saved"));
}

function paths(fields) {
  return until("the fields are shown", async () => {
    const shown = await fields.evaluateAll((all) => all.map((field) => field.dataset.path));
    return shown.length > 0 && shown.sort();
  });
}

async function seesVersions(field, { base, mine, theirs }) {
  const [before, ...others] = await field.locator(".version").allInnerTexts();
  const plain = (text) => text.replaceAll(/\s+/g, "");
  assert.ok(plain(before).includes(base), before);
  assert.ok(plain(others[0]).includes(mine), others[0]);
  assert.ok(plain(others[1]).includes(theirs), others[1]);
}

function preview({ page }, key, text) {
  const line = page.getByTestId("merge-preview").locator(`[data-key=${key}]`);
  return until(`the merged record has ${text}`, async () => (await line.innerText()).includes(text));
}

/** Nothing is wider than the screen, and whatever can be touched is large enough. */
async function fits({ page }, what) {
  await until(`${what} fits the phone`, async () => {
    const { wide, small } = await page.evaluate((target) => {
      const seen = (element) => element.getClientRects().length > 0 && !element.closest(".visually-hidden, .skip");
      const box = (element) => element.getBoundingClientRect();
      const name = (element) => element.dataset.testid ?? (element.className || element.tagName);
      const all = [...document.querySelectorAll("main *, header *, nav *")].filter(seen);
      const touched = all.filter(
        (element) =>
          element.matches("a, button, select, input:not([type=radio], [type=checkbox])") ||
          (element instanceof HTMLLabelElement && element.control !== null),
      );
      return {
        wide: all.filter((element) => box(element).right > innerWidth + 1).map(name),
        small: touched.filter((element) => box(element).height < target - 0.5).map(name),
      };
    }, TARGET);
    const scrolls = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    if (scrolls || wide.length > 0 || small.length > 0) throw new Error(JSON.stringify({ scrolls, wide, small }));
    return true;
  });
}

/** Remembers the text of every toast. */
function watchToasts({ page }) {
  return page.evaluate(() => {
    const box = /** @type {HTMLElement} */ (document.querySelector("[data-testid=toasts]"));
    const texts = [box.innerText];
    new MutationObserver(() => texts.push(box.innerText)).observe(box, { childList: true, subtree: true });
    Object.assign(window, { toastTexts: texts });
  });
}

async function settingsToasts({ page }) {
  const texts = await page.evaluate(() => /** @type {any} */ (window).toastTexts ?? []);
  return texts.filter((text) => text.includes("merge settings"));
}
