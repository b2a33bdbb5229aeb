import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { afterEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { refused } from "./open.mjs";

const EMPTY_MODULE = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
const PAGE = new TextEncoder().encode("<!doctype html><title>An app</title>");
const original = globalThis.fetch;
afterEach(() => (globalThis.fetch = original));

/** Each test loads the loader anew: it keeps what it has compiled. */
let copies = 0;
const fresh = async () => (await import(`../dist/wasm/load.js?${(copies += 1)}`)).loadModule;
const answer = (bytes, asked = []) => {
  globalThis.fetch = async (url) => (asked.push(String(url)), new Response(bytes));
  return asked;
};

test("the module is fetched from beside the package, once", async () => {
  const asked = answer(EMPTY_MODULE);
  const loadModule = await fresh();
  const [one, two] = await Promise.all([loadModule(undefined), loadModule(undefined)]);
  assert.ok(one instanceof WebAssembly.Module && one === two);
  assert.deepEqual(asked, [new URL("../dist/tidewire.wasm", import.meta.url).href]);
});

test("a page in place of the module, or no answer at all, leads to the inlined copy", async () => {
  const inline = existsSync(fileURLToPath(new URL("../dist/wasm-inline.js", import.meta.url)));
  const none = async () => Promise.reject(new TypeError("Failed to fetch"));
  for (const fetch of [async () => new Response(PAGE), async () => new Response("", { status: 404 }), none]) {
    globalThis.fetch = fetch;
    const loading = (await fresh())(undefined);
    if (inline) assert.ok((await loading) instanceof WebAssembly.Module);
    else assert.equal((await refused(loading)).code, "wasm-load");
  }
});

test("a module that is served as one is compiled while it comes; what is none leads to the inlined copy", async () => {
  const served = (bytes) => async () => new Response(bytes, { headers: { "content-type": "application/wasm" } });
  const { compileStreaming } = WebAssembly;
  let streamed = 0;
  WebAssembly.compileStreaming = (response) => ((streamed += 1), compileStreaming(response));
  try {
    globalThis.fetch = served(EMPTY_MODULE);
    assert.ok((await (await fresh())(undefined)) instanceof WebAssembly.Module);
    assert.equal(streamed, 1);
    globalThis.fetch = served(PAGE);
    const loading = (await fresh())(undefined);
    const inline = existsSync(fileURLToPath(new URL("../dist/wasm-inline.js", import.meta.url)));
    if (inline) assert.ok((await loading) instanceof WebAssembly.Module);
    else assert.equal((await refused(loading)).code, "wasm-load");
  } finally {
    WebAssembly.compileStreaming = compileStreaming;
  }
});

test("a named source is used and nothing else", async () => {
  const loadModule = await fresh();
  const asked = answer(EMPTY_MODULE);
  const compiled = await WebAssembly.compile(EMPTY_MODULE);
  assert.equal(await loadModule(compiled), compiled);
  const sources = [EMPTY_MODULE, EMPTY_MODULE.buffer, new Response(EMPTY_MODULE), async () => EMPTY_MODULE];
  for (const source of sources) assert.ok((await loadModule(source)) instanceof WebAssembly.Module);
  assert.deepEqual(asked, []);
  await loadModule("/assets/tidewire.wasm");
  await loadModule(new URL("https://cdn.example/tidewire.wasm"));
  assert.deepEqual(asked, ["/assets/tidewire.wasm", "https://cdn.example/tidewire.wasm"]);
});

test("a named source that is wrong says so, and can be tried again", async () => {
  const loadModule = await fresh();
  answer(PAGE);
  const error = await refused(loadModule("/wrong"));
  assert.deepEqual([error.code, error.retryable], ["wasm-load", true]);
  assert.equal((await refused(loadModule(PAGE))).code, "wasm-load");
  answer(EMPTY_MODULE);
  assert.ok((await loadModule("/right")) instanceof WebAssembly.Module);
});

test("each part is found by itself, and an option of one source names the main part", async () => {
  const asked = answer(EMPTY_MODULE);
  const loadModule = await fresh();
  await Promise.all([loadModule(undefined, "main"), loadModule(undefined, "more")]);
  await loadModule({ main: "/main", more: "/more" }, "main");
  await loadModule({ main: "/main", more: "/more" }, "more");
  await loadModule("/alone", "more");
  const beside = ["tidewire", "tidewire-more"].map((name) => new URL(`../dist/${name}.wasm`, import.meta.url).href);
  assert.deepEqual(asked, [...beside, "/main", "/more"]);
});
