import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { isLacking } from "../dist/errors.js";
import { Instance } from "../dist/wasm/bindings.js";

const VIEW = 5;
const EXPORT = 7;
const [module, more] = await Promise.all(
  ["tidewire", "tidewire-more"].map((name) =>
    WebAssembly.compile(readFileSync(new URL(`../dist/${name}.wasm`, import.meta.url))),
  ),
);
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

test("what needs the second part traps without it, and works with it", () => {
  const instance = new Instance(module);
  assert.throws(() => client(settings, instance).client.call(EXPORT, "", ""), isLacking);
  assert.ok(instance.lacks);
  const next = new Instance(module);
  next.complete(more);
  assert.match(client(settings, next).client.call(EXPORT, "", ""), /"collections":\{"todos":\[\]\}/);
  assert.deepEqual([next.lacks, next.whole], [false, true]);
});

test("a second part of another release is refused", async () => {
  // `(module (import "m" "t1" (table 1 funcref)))`.
  const other = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 2, 10, 1, 1, 109, 2, 116, 49, 1, 112, 0, 1]);
  const instance = new Instance(module);
  assert.throws(() => instance.complete(new WebAssembly.Module(other)), { code: "wasm-load" });
  assert.equal(instance.whole, false);
});
