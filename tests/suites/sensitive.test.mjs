/** Sensitive fields: written while there is a connection, never stored on this device, fetched again after a reload. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { diskDevice } from "../lib/disk.mjs";
import { canary, fill } from "../lib/fill.mjs";
import { codeOf, insert, isWhole } from "../lib/sensitive.mjs";
import { scenario, useStack } from "../lib/stack.mjs";
import { armTrap } from "../lib/trap.mjs";
import { until } from "../lib/until.mjs";
import { passphrase } from "../lib/vault.mjs";

const CONFIG = `[collections.people]\ntypes = { "/ssn" = "string" }\n[collections.todos]\n`;
const PEOPLE = { people: { sensitive: ["ssn", "address.street"] }, todos: {} };
const PERSON = { name: "Ada", ssn: "1", address: { street: "a", city: "Oslo" } };

describe("sensitive fields on the disk", () => {
  const stack = useStack();

  for (const people of [{}, PEOPLE.people]) {
    const isSet = people !== PEOPLE.people ? "without the setting, found" : "not stored";
    scenario(stack, `what others write of them is ${isSet}: pulled, in conflict, deleted`, async (world) => {
      const other = await world.device({ collections: { people: {} } });
      const [pulled, older, newer, displaced] = Array.from({ length: 4 }, canary);
      const [id, gone] = await other.run(async (ssn) => {
        const writes = [1, 2].map((n) => window.tw.db.people.insert({ name: `${n}`, ssn }));
        await Promise.all(writes);
        return writes.map((write) => write.id);
      }, pulled);
      await fill(other, "people");
      // Pulled into an empty store.
      const device = await diskDevice(world, "chromium", { collections: { people } });
      await device.tab();
      await device.synced();
      await device.until("pulled", isSsn, { id, ssn: pulled });
      // The other device's value is older when it arrives, so it loses, and its author is told on both.
      other.offline();
      await other.run(codeOf, { id, patch: { ssn: older } });
      assert.equal(await device.run(codeOf, { id, patch: { ssn: newer } }), "stored");
      other.online();
      await other.synced();
      await device.until("told", async () => (await window.tw.db.sync.conflicts.history.get()).length > 0);
      // A deletion that comes after a value which its author has not seen.
      device.offline();
      await device.run((key) => window.tw.db.people.delete(key).then(), gone);
      await other.run(codeOf, { id: gone, patch: { ssn: displaced } });
      await other.synced();
      device.online();
      await device.synced();
      await device.quit();
      const words = [pulled, older, newer, displaced];
      assert.deepEqual(await device.finds(words), people === PEOPLE.people ? [] : words);
    });
  }
});

describe("sensitive fields", () => {
  const stack = useStack({ config: CONFIG });

  scenario(stack, "are written when the server has them, and seen by all tabs and devices", async (world) => {
    const device = await world.device({ collections: PEOPLE, tabs: 2 });
    const other = await world.device({ user: "bob", collections: { people: {} } });
    const id = await insert(device, PERSON);
    const stored = (await world.rows("people")).get(id);
    assert.deepEqual({ ...stored, $rev: 0 }, { ...PERSON, $rev: 0 }, "it resolved when the server had it");
    assert.equal((await device.run(readRow, id)).ssn, "1", "and this tab shows it");
    for (const tab of device.tabs) await tab.until("the second tab, too", isWhole, { id, ssn: "1", street: "a" });
    await other.until("the other device, too", isWhole, { id, ssn: "1", street: "a" });
    assert.equal(await other.run(codeOf, { id, patch: { ssn: "2", "address.street": "b" } }), "stored");
    for (const tab of device.tabs) await tab.until("what others write", isWhole, { id, ssn: "2", street: "b" });
    const verdict = await device.run(async (key) => {
      const write = window.tw.db.people.update(key, { ssn: "3", name: "Ada L." });
      const verdict = await write.server({ timeoutMs: 60_000 });
      await write.undo();
      return verdict.verdict;
    }, id);
    assert.equal(verdict, "applied");
    await until("undone", async () => (await world.rows("people")).get(id).ssn === "2");
    assert.equal((await world.rows("people")).get(id).name, "Ada");
    assert.equal((await device.queue()).pending.length, 0);
    // Several documents are one write, also where only one of them has such a field.
    const many = await device.run(async () => {
      const write = window.tw.db.people.insertMany([{ name: "Bo" }, { name: "{Cy}", ssn: "4" }]);
      const ids = await write;
      return { ids, verdict: (await write.server({ timeoutMs: 60_000 })).verdict };
    });
    assert.equal(many.verdict, "applied");
    const rows = await world.rows("people");
    assert.deepEqual(
      many.ids.map((key) => [rows.get(key).name, rows.get(key).ssn]),
      [
        ["Bo", undefined],
        ["{Cy}", "4"],
      ],
    );
  });

  scenario(stack, "wait for a connection; everything else does not", async (world) => {
    const device = await world.device({ collections: PEOPLE });
    const id = await insert(device, PERSON);
    device.offline();
    const codes = await device.run(async (key) => {
      const { db } = window.tw;
      const tries = {
        insert: () => db.people.insert({ name: "Bo", ssn: "9" }),
        whole: () => db.people.update(key, { address: { city: "Bergen" } }),
        mixed: () => db.people.update(key, { name: "Bo", ssn: "9" }),
        removed: () => db.people.update(key, { ssn: undefined }),
        draft: () => db.people.update(key, (draft) => void (draft.ssn = "9")),
        transaction: () => db.transaction((tx) => tx.people.update(key, { ssn: "9" })),
        spread: () => db.transaction((tx) => (tx.people.update(key, { ssn: "9" }), tx.todos.insert({ title: "x" }))),
        name: () => db.people.update(key, { name: "Ada L." }),
        city: () => db.people.update(key, (draft) => void (draft.address.city = "Bergen")),
        plain: () => db.people.insert({ name: "Cy" }),
        todo: () => db.todos.insert({ title: "mine" }),
        asked: () => db.people.where({ ssn: "1" }).get(),
        ordered: () => db.people.where({}).orderBy("address.street").get(),
        least: () => db.people.where({}).min("ssn").get(),
        grouped: () => db.people.where({}).groupBy("address").count().get(),
        counted: () => db.people.where({}).groupBy("name").count().get(),
      };
      const codes = {};
      for (const [name, attempt] of Object.entries(tries))
        codes[name] = await Promise.resolve()
          .then(attempt)
          .then(
            () => "ok",
            (error) => `${error.code}${error.retryable ? ", again" : ""}`,
          );
      const [{ n }] = (await window.tw.queue()).pending;
      codes.queue = await db.sync.queue.edit(n, { ssn: "9" }).catch((error) => error.code);
      return codes;
    }, id);
    const refused = "sensitive-offline, again";
    assert.deepEqual(codes, {
      ...{ insert: refused, whole: refused, mixed: refused, removed: refused, draft: refused, transaction: refused },
      ...{ spread: "bad-mutation", name: "ok", city: "ok", plain: "ok", todo: "ok" },
      ...{ asked: "bad-query", ordered: "bad-query", least: "bad-query", grouped: "bad-query", counted: "ok" },
      ...{ queue: "sensitive-offline" },
    });
    await device.reload();
    const row = await device.run(readRow, id);
    assert.deepEqual([row.name, row.address, row.ssn], ["Ada L.", { city: "Bergen" }, undefined]);
    assert.deepEqual(row.$missing, ["ssn", "address.street"]);
    // A row as it was read, with what is missing, is no removal of that.
    assert.equal(await device.run(upsertAsRead, { id, name: "Ada Lovelace" }), "stored");
    device.online();
    await device.until("fetched again", isWhole, { id, ssn: "1", street: "a" });
    await device.synced();
    const stored = (await world.rows("people")).get(id);
    const address = { street: "a", city: "Bergen" };
    assert.deepEqual(stored, { ...PERSON, name: "Ada Lovelace", address, $rev: stored.$rev });
    assert.equal((await world.rows("people")).size, 2);
    assert.equal(await device.run(upsertAsRead, { id, name: "Ada" }), "stored");
    assert.equal(await device.run(codeOf, { id, patch: { ssn: undefined } }), "stored");
    assert.equal((await world.rows("people")).get(id).ssn, undefined);
  });

  scenario(stack, "that the server refuses, or does not answer, are refused and not kept", async (world) => {
    const device = await world.device({ collections: PEOPLE, options: { timeoutMs: 5_000 } });
    const id = await insert(device, PERSON);
    assert.equal(await device.run(codeOf, { id, patch: { ssn: 5 } }), "invalid");
    assert.equal((await device.run(readRow, id)).ssn, "1");
    assert.deepEqual((await device.queue()).failed, []);
    device.proxy.blackhole();
    assert.equal(await device.run(codeOf, { id, patch: { ssn: "6" } }), "sensitive-offline");
    device.online();
    await device.synced();
    assert.equal(await device.run(codeOf, { id, patch: { ssn: "7" } }), "stored");
    assert.equal((await world.rows("people")).get(id).ssn, "7");
  });

  scenario(stack, "are put back from a conflict, and left alone by what does not know them", async (world) => {
    const device = await world.device({ collections: PEOPLE });
    const other = await world.device({ collections: { people: {} } });
    const id = await insert(device, PERSON);
    await other.until("there", isWhole, { id, ssn: "1", street: "a" });
    other.offline();
    await other.run(codeOf, { id, patch: { ssn: "older" } });
    assert.equal(await device.run(codeOf, { id, patch: { ssn: "newer" } }), "stored");
    other.online();
    await other.synced();
    await device.until("told", async () => (await window.tw.db.sync.conflicts.history.get()).length > 0);
    await device.until("its values, too", async () => {
      const [conflict] = await window.tw.db.sync.conflicts.history.get();
      return conflict?.fields[0].mine === "older";
    });
    await device.run(async () => {
      const [conflict] = await window.tw.db.sync.conflicts.history.get();
      await conflict.restore();
    });
    assert.equal((await world.rows("people")).get(id).ssn, "older");
    // An export has none of them.
    const changed = await device.run(async () => {
      const { db } = window.tw;
      const data = await db.export();
      data.collections.people[0].name = "Ada L.";
      await db.import(data);
      return JSON.stringify(data).includes("older");
    });
    assert.equal(changed, false);
    await device.synced();
    const stored = (await world.rows("people")).get(id);
    assert.deepEqual(stored, { ...PERSON, name: "Ada L.", ssn: "older", $rev: stored.$rev });
    // Nor has a row that was not fetched again yet.
    device.proxy.blackhole();
    await device.reload();
    const codes = await device.run(async (key) => {
      const { db } = window.tw;
      const tries = [
        (draft) => void delete draft.address,
        (draft) => void (draft.address.city = "Bergen"),
        (draft) => void (draft.name = "Ada"),
      ];
      return Promise.all(
        tries.map((edit) =>
          db.people.update(key, edit).then(
            () => "stored",
            (error) => error.code,
          ),
        ),
      );
    }, id);
    assert.deepEqual(codes, ["sensitive-offline", "stored", "stored"]);
    device.online();
    await device.synced();
    const { $rev, ...last } = (await world.rows("people")).get(id);
    assert.deepEqual(last, { ...PERSON, ssn: "older", address: { street: "a", city: "Bergen" } });
  });

  scenario(stack, "rest while syncing is paused in any tab, and what waits goes with a close", async (world) => {
    const device = await world.device({ collections: PEOPLE, options: { timeoutMs: 5_000 }, tabs: 2 });
    const [first, second] = device.tabs;
    const id = await insert(device, PERSON);
    await second.until("there", isWhole, { id, ssn: "1", street: "a" });
    await first.run(() => window.tw.db.sync.pause());
    for (const tab of device.tabs) {
      await tab.until("paused", async () => (await window.tw.db.sync.status.get()).state === "paused");
      assert.equal(await tab.run(codeOf, { id, patch: { ssn: "paused" } }), "sensitive-offline");
    }
    await first.run(() => window.tw.db.sync.resume());
    await second.until("resumed", async () => (await window.tw.db.sync.status.get()).state !== "paused");
    for (const [i, tab] of device.tabs.entries())
      assert.equal(await tab.run(codeOf, { id, patch: { ssn: `resumed ${i}` } }), "stored");
    await second.close();
    // A field of that name is nothing special in another collection.
    device.offline();
    const code = await first.run(async () => {
      const { db } = window.tw;
      await db.todos.insert({ title: "x" });
      const [{ n }] = (await window.tw.queue()).pending;
      return db.sync.queue.edit(n, { ssn: "mine" }).catch((error) => error.code);
    });
    assert.equal(code, "not-in-queue");
    // After a reload it waits for the collection.
    device.proxy.blackhole();
    await first.reload();
    const seen = await first.run(async (key) => {
      const seen = [];
      window.addEventListener("unhandledrejection", ({ reason }) => seen.push(`${reason}`));
      await window.tw.db.people.get(key);
      const write = window.tw.db.people.update(key, { ssn: "closed" }).catch((error) => seen.push(error.code));
      await window.tw.db.close();
      await write;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return seen;
    }, id);
    assert.deepEqual(seen, ["closed"]);
  });

  scenario(stack, "on their way at a trap of the module are given up, and others go on", async (world) => {
    const device = await world.device({ collections: PEOPLE, options: { timeoutMs: 5_000 } });
    const id = await insert(device, PERSON);
    device.proxy.blackhole();
    await device.run((key) => {
      window.tw.seen = [];
      window.addEventListener("error", ({ message }) => window.tw.seen.push(message));
      window.addEventListener("unhandledrejection", ({ reason }) => window.tw.seen.push(`${reason}`));
      const write = window.tw.db.people.update(key, { ssn: "2" });
      write.catch((error) => window.tw.seen.push(error.code));
    }, id);
    await device.run(armTrap);
    await device.run(async () => {
      await window.tw.db.todos.insert({ title: "at the trap" });
      // No sooner than the time of the first write is over.
      await new Promise((resolve) => setTimeout(resolve, 5_500));
    });
    assert.deepEqual(await device.run(() => window.tw.seen), ["internal"]);
    device.online();
    await device.synced();
    await device.until("fetched again", isWhole, { id, ssn: (await world.rows("people")).get(id).ssn, street: "a" });
    assert.equal(await device.run(codeOf, { id, patch: { ssn: "3" } }), "stored");
    assert.equal((await world.rows("people")).get(id).ssn, "3");
  });

  scenario(stack, "may be stored in an encrypted store, if that is asked for", async (world) => {
    const options = { encrypt: passphrase("any"), sensitive: "encrypted" };
    const device = await world.device({ collections: PEOPLE, options });
    const codes = await device.run(async () => {
      const backend = { pull: () => new Promise(() => undefined), push: () => new Promise(() => undefined) };
      const bad = [{ sensitive: "encrypted" }, { url: undefined, backend }].map((part, i) =>
        window.tw.open({ name: `bad-${i}`, ...part }).people.get("x").catch((error) => error.code),
      );
      return Promise.all(bad);
    });
    assert.deepEqual(codes, ["bad-config", "bad-config"]);
    device.offline();
    const id = await insert(device, PERSON);
    await device.reload();
    const row = await device.run(readRow, id);
    assert.deepEqual([row.ssn, row.$missing], ["1", undefined]);
    device.online();
    await device.synced();
    assert.equal((await world.rows("people")).get(id).ssn, "1");
    // Encryption alone stores none of them.
    const strict = await world.device({ collections: PEOPLE, options: { encrypt: passphrase("any") } });
    await strict.synced();
    strict.offline();
    assert.equal(await strict.run(codeOf, { id, patch: { ssn: "2" } }), "sensitive-offline");
  });
});

/** Runs in the page. */
async function readRow(id) {
  return JSON.parse(JSON.stringify(await window.tw.db.people.get(id)));
}

/** Runs in the page: a row as a form gives it back. */
async function upsertAsRead({ id, name }) {
  const row = await window.tw.db.people.get(id);
  return window.tw.db.people.upsert({ ...row, name }).then(
    () => "stored",
    (error) => error.code,
  );
}

/** Runs in the page. */
async function isSsn({ id, ssn }) {
  return (await window.tw.db.people.get(id))?.ssn === ssn;
}
