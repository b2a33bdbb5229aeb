/** What may become JSON, and the code of what may not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { cleanJson } from "../dist/json.js";

const nested = (depth) => (depth === 0 ? 1 : { a: nested(depth - 1) });

test("64 levels are a value, 65 are too deep, however deep it goes on", () => {
  assert.deepEqual(cleanJson(nested(64)), nested(64));
  const refused = (value) => assert.throws(() => cleanJson(value), { name: "TidewireError", code: "too-deep" });
  refused(nested(65));
  refused(JSON.parse("[".repeat(5_000) + "]".repeat(5_000)));
});

test("a lone surrogate is refused in a key as in a text", () => {
  for (const text of ["\ud800", "a\udc00", "\udc00\ud800"]) {
    assert.throws(() => cleanJson({ a: text }), { code: "bad-value", path: "/a" });
    assert.throws(() => cleanJson({ a: { [text]: 1 } }), { code: "bad-value" });
  }
  assert.deepEqual(cleanJson({ "😀": "😀" }), { "😀": "😀" });
});

test("what is refused is named by its pointer, and a value may stand in two places", () => {
  const refused = (value, path, code = "bad-value") => assert.throws(() => cleanJson(value), { code, path });
  refused({ a: [{ "b/c~": 1n }] }, "/a/0/b~1c~0");
  refused({ a: [1, undefined] }, "/a/1");
  refused({ a: { b: JSON.parse('{"__proto__": 1}') } }, "/a/b/__proto__", "forbidden-key");
  refused({ a: { "\ud83d": 1 } }, "/a/\ud83d");
  const round = { list: [] };
  round.list.push(round);
  refused(round, "/list/0");
  const shared = { x: 1 };
  assert.deepEqual(cleanJson({ one: shared, two: [shared] }), { one: { x: 1 }, two: [{ x: 1 }] });
});
