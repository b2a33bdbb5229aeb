/** Sensitive fields on the disk, the same for every engine: nothing of them is there, and all of the others. */
import assert from "node:assert/strict";

import { diskDevice } from "./disk.mjs";
import { canary, fill } from "./fill.mjs";

/** Inserted, changed, refused offline, sealed, fetched again: no value of the field is ever written down. */
export async function sensitiveJourney(world, engine, isSet) {
  const people = isSet ? { sensitive: ["ssn", "address.street"] } : {};
  const device = await diskDevice(world, engine, { collections: { people } });
  const [name, ssn, changed, street, offline] = Array.from({ length: 5 }, canary);
  const secrets = [ssn, changed, street];
  await device.tab();
  const id = await device.run(
    async (person) => {
      const write = window.tw.db.people.insert(person);
      await write;
      return write.id;
    },
    { name, ssn, address: { street, city: "Oslo" } },
  );
  await device.synced();
  assert.deepEqual({ ...(await world.rows("people")).get(id), $rev: 0 }, {
    ...{ name, ssn, address: { street, city: "Oslo" } },
    $rev: 0,
  });
  await device.run((arg) => window.tw.db.people.update(arg.id, { ssn: arg.changed }).then(), { id, changed });
  await fill(device, "people");
  assert.equal((await device.rows("people")).find((row) => row.id === id).ssn, changed);
  device.offline();
  if (isSet) assert.equal(await device.run(codeOf, { id, patch: { ssn: offline } }), "sensitive-offline");
  assert.equal(await device.run(codeOf, { id, patch: { "address.city": "Bergen" } }), "stored");
  assert.deepEqual(await device.finds([name, ...secrets, offline]), isSet ? [name] : [name, ...secrets]);
  await device.quit();
  assert.deepEqual(await device.finds([name, ...secrets, offline]), isSet ? [name] : [name, ...secrets]);

  await device.tab();
  const row = await device.run(async (key) => JSON.parse(JSON.stringify(await window.tw.db.people.get(key))), id);
  assert.deepEqual([row.name, row.address.city], [name, "Bergen"]);
  assert.deepEqual([row.ssn, row.$missing], isSet ? [undefined, ["ssn", "address.street"]] : [changed, undefined]);
  device.online();
  await device.until("fetched again", isWhole, { id, ssn: changed, street });
  await device.quit();
  assert.deepEqual(await device.finds([name, ...secrets, offline]), isSet ? [name] : [name, ...secrets]);
}

/** Resolves with the id, when the server has it. */
export function insert(device, person) {
  return device.run(async (value) => {
    const write = window.tw.db.people.insert(value);
    await write;
    return write.id;
  }, person);
}

/** Runs in the page: what comes of an edit. */
export function codeOf({ id, patch }) {
  return window.tw.db.people.update(id, patch).then(
    () => "stored",
    (error) => error.code,
  );
}

/** Runs in the page. */
export async function isWhole({ id, ssn, street }) {
  const row = await window.tw.db.people.get(id);
  return row?.ssn === ssn && row.address.street === street && row.$missing === undefined;
}
