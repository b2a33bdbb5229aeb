/** Sensitive fields: how the two clients behind them are made, and what is left of them. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { guard } from "../dist/host/sensitive.js";
import { openStore } from "../dist/host/store.js";
import { wasmFactory } from "../dist/wasm/client.js";

const collections = { people: { sensitive: ["ssn"] } };
const CONFIG = { name: "d", url: null, storage: "memory", sensitive: "unstored", collections };
const OWNER = { event: () => undefined, token: async () => null };

/** Clients that say in which order they were closed; `fails` says which one is not made. */
function maker({ generations = [1, 1], fails = -1 } = {}) {
  const made = [];
  const make = async (config, host) => {
    const at = made.length;
    if (at === fails) throw Object.assign(new Error("no"), { code: "wasm-load" });
    const one = { ...JSON.parse(config), host, isClosed: false };
    made.push(one);
    const client = { close: async () => void (one.isClosed = true), erase: async () => undefined };
    return { client, generation: generations[at] ?? generations.at(-1) };
  };
  return { make, made, create: () => guard(CONFIG, OWNER, make, async () => undefined) };
}

test("where the second client cannot be made, the first one is let go", async () => {
  const { made, create } = maker({ fails: 1 });
  await assert.rejects(create, { code: "wasm-load" });
  assert.deepEqual(made.map(({ isClosed }) => isClosed), [true]);
});

test("a trap between the two makes both anew", async () => {
  const { made, create } = maker({ generations: [1, 2, 2] });
  const { generation } = await create();
  assert.deepEqual([made.map(({ isClosed }) => isClosed), generation], [[true, true, false, false], 2]);
  assert.equal(new Set(made.map(({ name }) => name)).size, 3, "`main` has its own name, each `aside` another");
});

test("a client that was never opened lets go when it is closed", async () => {
  const bytes = readFileSync(new URL("../dist/tidewire.wasm", import.meta.url));
  let isOver = false;
  const settings = { name: "never", url: null, storage: "memory", durability: "relaxed" };
  const host = { ...OWNER, over: () => void (isOver = true) };
  const { client } = await wasmFactory(bytes).create(JSON.stringify({ ...settings, collections: {} }), host);
  await client.close();
  assert.equal(isOver, true);
});

test("nothing in memory outlives a trap", async () => {
  const { made, create } = maker();
  await create();
  const [, { name, host }] = made;
  const store = await openStore(name, "memory");
  assert.equal(await openStore(name, "memory"), store);
  host.over();
  assert.notEqual(await openStore(name, "memory"), store);
});
