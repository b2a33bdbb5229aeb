/** Sensitive fields stay on the server when a delete is taken back, and when a row is given back as it was read. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import { codeOf, insert, isWhole } from "../lib/sensitive.mjs";
import { scenario, useStack } from "../lib/stack.mjs";

const PEOPLE = { people: { sensitive: ["ssn", "address.street"] } };
const PERSON = { name: "Ada", ssn: "1", address: { street: "a", city: "Oslo" } };

describe("sensitive fields", () => {
  const stack = useStack();

  scenario(stack, "are there again when a delete is taken back, by whoever knows them", async (world) => {
    const device = await world.device({ collections: PEOPLE });
    const ids = [await insert(device, PERSON), await insert(device, PERSON)];
    for (const id of ids) {
      const isOffline = id === ids[1];
      if (isOffline) device.offline();
      const code = await device.run(async (key) => {
        window.tw.deleted = window.tw.db.people.delete(key);
        await window.tw.deleted;
        return window.tw.deleted.undo().then(
          () => "undone",
          (error) => error.code,
        );
      }, id);
      assert.equal(code, isOffline ? "sensitive-offline" : "undone");
      if (!isOffline) continue;
      device.online();
      await device.synced();
      await device.run(async () => void (await window.tw.deleted.undo()));
    }
    const rows = await world.rows("people");
    for (const id of ids) assert.deepEqual({ ...rows.get(id), $rev: 0 }, { ...PERSON, $rev: 0 });
    for (const id of ids) await device.until("shown", isWhole, { id, ssn: "1", street: "a" });
  });

  scenario(stack, "stay when a row that was read without them is given back after they came", async (world) => {
    const device = await world.device({ collections: PEOPLE });
    const id = await insert(device, PERSON);
    device.proxy.blackhole();
    await device.reload();
    await device.run(async (key) => void (window.tw.form = await window.tw.db.people.get(key)), id);
    const early = await device.run(async (key) => {
      const { $missing, address } = window.tw.form;
      await window.tw.db.people.update(key, { address: { ...address, city: "Bergen" } });
      return $missing;
    }, id);
    assert.deepEqual(early, ["ssn", "address.street"]);
    device.online();
    await device.until("fetched again", isWhole, { id, ssn: "1", street: "a" });
    const codes = await device.run(async (key) => {
      const { db, form } = window.tw;
      const { $missing, ...bare } = form;
      const codes = [];
      for (const write of [
        () => db.people.upsert({ ...form, name: "Ada L." }),
        () => db.people.update(key, { ...form, age: 36 }),
        () => db.people.upsert({ ...bare, name: "Eve" }),
        () => db.people.update(key, { address: { ...form.address, city: "Rome" } }),
        () => db.transaction((tx) => (tx.people.update(key, { age: 1 }), tx.people.update(key, { age: 36 }))),
      ])
        codes.push(await write().then(() => "stored", (error) => error.code));
      return codes;
    }, id);
    assert.deepEqual(codes, ["stored", "stored", "bad-mutation", "bad-mutation", "stored"]);
    await device.synced();
    const { $rev, ...stored } = (await world.rows("people")).get(id);
    // What the form was read with it gave back.
    assert.deepEqual(stored, { ...PERSON, age: 36 });
    // An object is made without a word of what may be in it elsewhere.
    const other = await insert(device, { name: "Bo" });
    device.offline();
    assert.equal(await device.run(codeOf, { id: other, patch: { address: { city: "Oslo" } } }), "stored");
    device.online();
    await device.synced();
    assert.deepEqual((await world.rows("people")).get(other).address, { city: "Oslo" });
  });
});
