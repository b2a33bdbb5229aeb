/** JSON Merge Patch and JSON Patch against the tables of their RFCs. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { applyJsonPatch, applyMergePatch, ready, toJsonPatch, toMergePatch } from "tidewire/diff";

before(ready);

/** RFC 7396, appendix A: original, patch, result. */
const MERGE_PATCHES = [
  [{ a: "b" }, { a: "c" }, { a: "c" }],
  [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
  [{ a: "b" }, { a: null }, {}],
  [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
  [{ a: ["b"] }, { a: "c" }, { a: "c" }],
  [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
  [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
  [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
  [["a", "b"], ["c", "d"], ["c", "d"]],
  [{ a: "b" }, ["c"], ["c"]],
  [{ a: "foo" }, null, null],
  [{ a: "foo" }, "bar", "bar"],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: "b", c: null }, { a: "b" }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
];

test("RFC 7396, appendix A: each row applied, and a patch made for each row", () => {
  assert.equal(MERGE_PATCHES.length, 15);
  for (const [original, patch, result] of MERGE_PATCHES) {
    const about = JSON.stringify([original, patch]);
    assert.deepEqual(applyMergePatch(original, patch), result, about);
    assert.deepEqual(applyMergePatch(original, toMergePatch(original, result)), result, about);
  }
  // Where the row's patch says no more than what changed, it is the one that is made.
  for (const row of [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12]) {
    const [original, patch, result] = MERGE_PATCHES[row];
    assert.deepEqual(toMergePatch(original, result), patch);
  }
  assert.deepEqual(toMergePatch({ a: { b: "c" } }, { a: { b: "d" } }), { a: { b: "d" } });
});

test("RFC 7396, sections 1 and 3: the examples", () => {
  const change = { a: "z", c: { f: null } };
  assert.deepEqual(applyMergePatch({ a: "b", c: { d: "e", f: "g" } }, change), { a: "z", c: { d: "e" } });
  assert.deepEqual(toMergePatch({ a: "b", c: { d: "e", f: "g" } }, { a: "z", c: { d: "e" } }), change);
  const article = {
    title: "Goodbye!",
    author: { givenName: "John", familyName: "Doe" },
    tags: ["example", "sample"],
    content: "This will be unchanged",
  };
  const patch = { title: "Hello!", phoneNumber: "+01-123-456-7890", author: { familyName: null }, tags: ["example"] };
  const after = {
    title: "Hello!",
    author: { givenName: "John" },
    tags: ["example"],
    content: "This will be unchanged",
    phoneNumber: "+01-123-456-7890",
  };
  assert.deepEqual(applyMergePatch(article, patch), after);
  assert.deepEqual(toMergePatch(article, after), patch);
});

/** RFC 6902, appendix A: section, document, patch, result; `made`: the patch that we make says it in the same words. */
const JSON_PATCHES = [
  { a: 1, document: { foo: "bar" }, patch: [{ op: "add", path: "/baz", value: "qux" }], made: true,
    result: { baz: "qux", foo: "bar" } },
  { a: 2, document: { foo: ["bar", "baz"] }, patch: [{ op: "add", path: "/foo/1", value: "qux" }],
    result: { foo: ["bar", "qux", "baz"] } },
  { a: 3, document: { baz: "qux", foo: "bar" }, patch: [{ op: "remove", path: "/baz" }], made: true,
    result: { foo: "bar" } },
  { a: 4, document: { foo: ["bar", "qux", "baz"] }, patch: [{ op: "remove", path: "/foo/1" }],
    result: { foo: ["bar", "baz"] } },
  { a: 5, document: { baz: "qux", foo: "bar" }, patch: [{ op: "replace", path: "/baz", value: "boo" }], made: true,
    result: { baz: "boo", foo: "bar" } },
  { a: 6, document: { foo: { bar: "baz", waldo: "fred" }, qux: { corge: "grault" } },
    patch: [{ op: "move", from: "/foo/waldo", path: "/qux/thud" }],
    result: { foo: { bar: "baz" }, qux: { corge: "grault", thud: "fred" } } },
  { a: 7, document: { foo: ["all", "grass", "cows", "eat"] }, patch: [{ op: "move", from: "/foo/1", path: "/foo/3" }],
    result: { foo: ["all", "cows", "eat", "grass"] } },
  { a: 8, document: { baz: "qux", foo: ["a", 2, "c"] },
    patch: [{ op: "test", path: "/baz", value: "qux" }, { op: "test", path: "/foo/1", value: 2 }],
    result: { baz: "qux", foo: ["a", 2, "c"] } },
  { a: 9, document: { baz: "qux" }, patch: [{ op: "test", path: "/baz", value: "bar" }], refused: "patch-failed" },
  { a: 10, document: { foo: "bar" }, patch: [{ op: "add", path: "/child", value: { grandchild: {} } }], made: true,
    result: { foo: "bar", child: { grandchild: {} } } },
  { a: 11, document: { foo: "bar" }, patch: [{ op: "add", path: "/baz", value: "qux", xyz: 123 }],
    result: { foo: "bar", baz: "qux" } },
  { a: 12, document: { foo: "bar" }, patch: [{ op: "add", path: "/baz/bat", value: "qux" }], refused: "patch-failed" },
  // A.13 has the member "op" twice. JavaScript's parser keeps the last one, so this is what arrives here.
  { a: 13, document: { foo: "bar" }, refused: "patch-failed",
    patch: JSON.parse('[{ "op": "add", "path": "/baz", "value": "qux", "op": "remove" }]') },
  { a: 14, document: { "/": 9, "~1": 10 }, patch: [{ op: "test", path: "/~01", value: 10 }],
    result: { "/": 9, "~1": 10 } },
  { a: 15, document: { "/": 9, "~1": 10 }, patch: [{ op: "test", path: "/~01", value: "10" }],
    refused: "patch-failed" },
  { a: 16, document: { foo: ["bar"] }, patch: [{ op: "add", path: "/foo/-", value: ["abc", "def"] }],
    result: { foo: ["bar", ["abc", "def"]] } },
];

for (const { a, document, patch, result, refused, made } of JSON_PATCHES) {
  test(`RFC 6902, appendix A.${a}`, () => {
    const before = JSON.stringify(document);
    if (refused !== undefined) assert.throws(() => applyJsonPatch(document, patch), { code: refused });
    else {
      assert.deepEqual(applyJsonPatch(document, patch), result);
      const ours = toJsonPatch(document, result);
      assert.deepEqual(applyJsonPatch(document, ours), result);
      if (made) assert.deepEqual(ours, patch);
    }
    assert.equal(JSON.stringify(document), before, "the document is left alone");
  });
}

test("RFC 6902, sections 4 and 5: the rules that the appendix has no example for", () => {
  const apply = (document, ...patch) => applyJsonPatch(document, patch);
  const refused = (code, document, ...patch) => assert.throws(() => applyJsonPatch(document, patch), { code });
  const misfits = [
    [{ a: [1] }, { op: "add", path: "/a/2", value: 1 }],
    [{ a: [1] }, { op: "add", path: "/a/00", value: 1 }],
    [{ a: [1] }, { op: "add", path: "/a/-1", value: 1 }],
    [{ a: [1] }, { op: "remove", path: "/a/-" }],
    [{ a: [1] }, { op: "remove", path: "/a/1" }],
    [{ a: 1 }, { op: "replace", path: "/b", value: 1 }],
    [{ a: 1 }, { op: "copy", from: "/b", path: "/c" }],
    [{ a: { b: 1 } }, { op: "move", from: "/a", path: "/a/b" }],
    [{ a: 1 }, { op: "test", path: "/b", value: null }],
    [{ a: "text" }, { op: "replace", path: "/a/0", value: "x" }],
  ];
  for (const [document, operation] of misfits) refused("patch-failed", document, operation);
  assert.deepEqual(apply({ a: { b: 1 } }, { op: "test", path: "/a", value: { b: 1.0 } }), { a: { b: 1 } });
  assert.deepEqual(apply({ a: 1 }, { op: "replace", path: "", value: [1] }), [1]);
  assert.deepEqual(apply({ a: 1 }, { op: "add", path: "", value: 2 }), 2);
  assert.deepEqual(apply({ "": 1, a: [0, 1] }, { op: "copy", from: "/a/1", path: "/" }), { "": 1, a: [0, 1] });
  const copied = apply({ a: { x: 1 } }, { op: "copy", from: "/a", path: "/b" }, { op: "add", path: "/b/y", value: 2 });
  assert.deepEqual(copied, { a: { x: 1 }, b: { x: 1, y: 2 } });
  // All or none: the first operation's effect is gone with the second's failure.
  const document = { a: 1 };
  refused("patch-failed", document, { op: "remove", path: "/a" }, { op: "remove", path: "/a" });
  assert.deepEqual(document, { a: 1 });
  for (const operation of [{ op: "spam", path: "/a" }, { path: "/a" }, { op: "add", path: "/b" }, { op: "remove" }, 7])
    refused("bad-patch", { a: 1 }, operation);
  assert.throws(() => applyJsonPatch({}, { op: "add", path: "/a", value: 1 }), { code: "bad-patch" });
  refused("bad-path", { a: 1 }, { op: "remove", path: "a" });
  refused("bad-path", { a: 1 }, { op: "remove", path: "/~2" });
});
