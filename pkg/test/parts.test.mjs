/** Databases that need both parts of the module, while another one of the page traps. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { openWith } from "../dist/db.js";
import { collection } from "../dist/index.js";
import { wasmFactory } from "../dist/wasm/client.js";
import { todo } from "./open.mjs";

const bytes = (name) => readFileSync(new URL(`../dist/${name}`, import.meta.url));

test("a trap while the second part is on its way leaves nobody in the instance that is gone", async (t) => {
  let release;
  const coming = new Promise((resolve) => (release = () => resolve(bytes("tidewire-more.wasm"))));
  const factory = wasmFactory({ main: bytes("tidewire.wasm"), more: () => coming });
  const made = [];
  const seen = {
    ...factory,
    get isWhole() {
      return factory.isWhole;
    },
    async create(config, host) {
      const loaded = await factory.create(config, host);
      made.push(loaded);
      return loaded;
    },
  };
  const plain = openWith({ name: "plain", storage: "memory", collections: { todos: todo } }, seen);
  await plain.todos.insert({ title: "a" });
  const kept = openWith(
    { name: "kept", storage: "memory", collections: { todos: collection(todo, { local: ["due"] }) } },
    seen,
  );
  t.after(() => Promise.all([plain.close(), kept.close()]));
  const written = kept.todos.insert({ id: "b", title: "b", due: "mine" });
  await new Promise((resolve) => setImmediate(resolve));
  factory.trapped(made[0].generation);
  await plain.todos.get("nowhere");
  release();
  await written;
  assert.equal((await kept.todos.get("b")).due, "mine");
  const generations = made.map(({ generation }) => generation);
  assert.deepEqual(generations, [0, 1, 1], "nobody was ended a second time");
});
