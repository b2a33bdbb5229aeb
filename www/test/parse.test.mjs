import assert from "node:assert/strict";
import test from "node:test";
import { load } from "./load.mjs";

const { parseFile, parseJson, UnreadableFile } = await load("src/import/parse.ts");
const values = ({ rows }) => rows.map(({ value }) => value);
const file = (name, text) => new File([text], name);

test("a JSON list keeps every value as it is, and rows count from one", () => {
  const parsed = parseJson('[{"a": null, "b": {"c": [1]}}, {"a": "é"}]');
  assert.deepEqual(values(parsed), [{ a: null, b: { c: [1] } }, { a: "é" }]);
  assert.deepEqual(
    parsed.rows.map(({ n }) => n),
    [1, 2],
  );
});

test("the one list inside an object is the list; a lone object is one row; a scalar is wrapped", () => {
  assert.deepEqual(values(parseJson('{"meta": 1, "rows": [{"a": 1}, 5]}')), [{ a: 1 }, { value: 5 }]);
  assert.deepEqual(values(parseJson('{"a": 1}')), [{ a: 1 }]);
});

test("one object a line is read, and a broken line is reported while its neighbours go in", () => {
  const parsed = parseJson('{"a": 1}\n\n{"a": \n{"a": 3}\n');
  assert.deepEqual(values(parsed), [{ a: 1 }, { a: 3 }]);
  assert.deepEqual(
    parsed.errors.map(({ row, code }) => [row, code]),
    [[3, "bad-json"]],
  );
});

test("what is no JSON at all is refused in words", () => {
  assert.throws(() => parseJson("hello"), UnreadableFile);
});

test("CSV cells stay text, quotes and empty lines are understood", async () => {
  const parsed = await parseFile(file("x.csv", 'code, name\r\n007,"Bond, ""James"""\r\n\r\n8,\r\n'));
  assert.deepEqual(values(parsed), [
    { code: "007", name: 'Bond, "James"' },
    { code: "8", name: "" },
  ]);
});

test("a CSV line with too many or too few cells is reported with its row and left out", async () => {
  const parsed = await parseFile(file("x.csv", "a,b\n1\n1,2,3\n4,5\n"));
  assert.deepEqual(parsed.rows, [{ n: 3, value: { a: "4", b: "5" } }]);
  assert.deepEqual(
    parsed.errors.map(({ row, code }) => [row, code]),
    [
      [1, "TooFewFields"],
      [2, "TooManyFields"],
    ],
  );
});

test("a file without a telling name is judged by its content; an empty one is refused", async () => {
  assert.deepEqual(values(await parseFile(file("data", ' [{"a":1}]'))), [{ a: 1 }]);
  assert.deepEqual(values(await parseFile(file("data", "a,b\n1,2"))), [{ a: "1", b: "2" }]);
  await assert.rejects(parseFile(file("x.json", " ")), UnreadableFile);
});
