import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Instance } from "../dist/wasm/bindings.js";

const VIEW = 5;
const module = await WebAssembly.compile(readFileSync(new URL("../dist/tidewire.wasm", import.meta.url)));
const settings = { name: "test", url: null, storage: "memory", collections: { todos: {} } };

/** A client, and what it has called of its host. */
function client(config = settings, instance = new Instance(module)) {
  const calls = [];
  const host = new Proxy({}, { get: (_, name) => (...values) => void calls.push([name, ...values]) });
  return { calls, client: instance.client(JSON.stringify(config), new Uint8Array(16), host) };
}

test("texts cross as they are, short or long, of any characters", () => {
  const { client: one } = client();
  const long = ["x".repeat(65), "日本😀".repeat(100), "y".repeat(200_000)];
  for (const text of ["", "a", "é", "almost ascii 日", "\uFEFFmark", ...long]) {
    assert.throws(() => one.call(VIEW, text, ""), { code: "bad-message", message: `there is no view \`${text}\`` });
  }
});

test("a refusal is thrown by the call that it answers, and by no other", () => {
  const instance = new Instance(module);
  assert.throws(() => client({}, instance), { code: "bad-config", retryable: false });
  const { client: one } = client(settings, instance);
  assert.throws(() => one.call(VIEW, "nothing", ""), { code: "bad-message" });
  assert.equal(typeof one.call(VIEW, "queue", ""), "string");
});

test("each client calls its own host, and no answer is a value of its own", () => {
  const instance = new Instance(module);
  const [one, two] = [client(settings, instance), client(settings, instance)];
  two.client.open();
  two.client.turn();
  const [load] = two.calls.filter(([name]) => name === "load");
  assert.deepEqual(load, ["load", 1]);
  assert.deepEqual(one.calls, []);
  two.client.part(0);
  two.client.stored(1, 0, 0, 0);
  assert.equal(two.client.call(2, "todos", "none"), undefined);
});
