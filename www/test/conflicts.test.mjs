import assert from "node:assert/strict";
import test from "node:test";
import { load } from "./load.mjs";

const { diffWords } = await load("src/lib/word-diff.ts");
const { valueAt, withValue } = await load("src/lib/pointer.ts");
const { fieldKind, fieldLabel, valueWords } = await load("src/data/field-kinds.ts");
const { mergedRecord, problemIn, sourceOf, verdictOf } = await load("src/data/conflict-choices.ts");

const marked = (before, after) =>
  diffWords(before, after)
    .map(({ kind, text }) => ({ same: text, added: `[+${text}]`, removed: `[-${text}]` })[kind])
    .join("");

test("words that came and went are marked, the rest is not", () => {
  assert.equal(marked("we deliver in spring", "we deliver in early summer"), "we deliver in [-spring][+early summer]");
  assert.equal(marked("one two three", "one three"), "one [-two ]three");
  assert.equal(marked("", "new"), "[+new]");
  assert.equal(marked("gone", ""), "[-gone]");
  assert.equal(marked("same", "same"), "same");
});

test("a space at the end makes no other word, a line break does", () => {
  assert.equal(marked("the notes", "the notes go on"), "the notes [+go on]");
  assert.equal(marked("one two", "one\ntwo"), "[-one ][+one\n]two");
});

test("what is put together from the pieces is each of the two texts", () => {
  const words = ["sea", "tide ", "sand\n", "ö, ", "7 "];
  const word = (seed, at) => words[(seed * (at + 3) + at * at) % words.length];
  const text = (seed) => Array.from({ length: 12 }, (_, at) => word(seed, at)).join("");
  for (let seed = 0; seed < 60; seed += 1) {
    const [before, after] = [text(seed), text(seed * 7 + 1)];
    const pieces = diffWords(before, after);
    const without = (kind) => pieces.filter((piece) => piece.kind !== kind).map((piece) => piece.text).join("");
    assert.equal(without("removed"), after);
    assert.equal(without("added").replaceAll(/\s+/g, ""), before.replaceAll(/\s+/g, ""));
  }
});

test("a text of thousands of other words is one replaced piece, at once", () => {
  const long = (word) => Array.from({ length: 5_000 }, (_, at) => `${word}${at}`).join(" ");
  assert.deepEqual(
    diffWords(long("a"), long("b")).map(({ kind }) => kind),
    ["removed", "added"],
  );
});

test("a pointer reads, replaces and removes, and leaves the row as it was", () => {
  const row = { a: { "b/c": 1, d: [1, 2] } };
  assert.equal(valueAt(row, "/a/b~1c"), 1);
  assert.equal(valueAt(row, "/a/none/deeper"), undefined);
  assert.equal(valueAt(row, "/toString"), undefined);
  assert.deepEqual(withValue(row, "/a/b~1c", 2), { a: { "b/c": 2, d: [1, 2] } });
  assert.deepEqual(withValue(row, "/a/b~1c", undefined), { a: { d: [1, 2] } });
  assert.deepEqual(withValue(row, "/x/y", 1), { a: { "b/c": 1, d: [1, 2] }, x: { y: 1 } });
  assert.deepEqual(row, { a: { "b/c": 1, d: [1, 2] } });
});

test("the schema says how a field is edited; where it allows anything, its values do", () => {
  assert.deepEqual(fieldKind("proposals", "/amount", []), { kind: "number", money: true });
  assert.equal(fieldKind("proposals", "/status", ["draft"]).kind, "choice");
  assert.equal(fieldKind("customers", "/tags", [["a"]]).kind, "tags");
  assert.deepEqual(fieldKind("customers", "/email", [""]), { kind: "text", long: false });
  assert.deepEqual(fieldKind("customers", "/notes", []), { kind: "text", long: true });
  assert.equal(fieldKind("proposals", "/customerId", ["c1"]).id, "customers");
  assert.equal(fieldKind("movies", "/IMDB Votes", [7, undefined]).kind, "number");
  assert.equal(fieldKind("movies", "/IMDB Votes", [7, "many"]).kind, "json");
  assert.equal(fieldKind("records", "/data/x", ["a", "b"]).kind, "text");
  assert.equal(fieldKind("elsewhere", "/x", [{}]).kind, "json");
});

test("fields and values have names that people use", () => {
  assert.equal(fieldLabel("/customerId"), "Customer");
  assert.equal(fieldLabel("/data/first~1last"), "Data › first/last");
  const words = (path, value) => valueWords(fieldKind("proposals", path, [value]), value);
  assert.equal(words("/amount", 44_500), "€44,500");
  assert.equal(words("/status", "won"), "Won");
  assert.equal(words("/title", undefined), "removed");
  assert.equal(words("/title", ""), "empty");
});

const field = (path, base, mine, theirs) => ({ conflict: path, path, base, mine, theirs, at: 1, rounds: 0 });
const meta = { id: "p", $rev: 2, $updatedAt: 1, $sync: { status: "conflict" } };
const conflict = {
  collection: "proposals",
  fields: [field("/amount", 1, 2, 3), field("/place/city", "a", undefined, "c")],
  mine: { ...meta, title: "T", amount: 2, place: {} },
  theirs: { ...meta, title: "T", amount: 3, place: { city: "c" } },
};

test("without a choice the merge is mine; each choice changes its own field", () => {
  assert.deepEqual(mergedRecord(conflict, {}), { title: "T", amount: 2, place: {} });
  const choices = { "/amount": { from: "theirs" }, "/place/city": { from: "edit", value: "b" } };
  assert.deepEqual(mergedRecord(conflict, choices), { title: "T", amount: 3, place: { city: "b" } });
  assert.equal(sourceOf(conflict, choices, "amount"), "theirs");
  assert.equal(sourceOf(conflict, choices, "place"), "edit");
  assert.equal(sourceOf(conflict, choices, "title"), undefined);
});

test("all fields alike are plainly mine or theirs, anything else is a record", () => {
  const theirs = { "/amount": { from: "theirs" }, "/place/city": { from: "theirs" } };
  assert.equal(verdictOf(conflict, {}), "mine");
  assert.equal(verdictOf(conflict, theirs), "theirs");
  assert.deepEqual(verdictOf(conflict, { "/amount": { from: "theirs" } }), { title: "T", amount: 3, place: {} });
});

test("what is typed and no value yet is found before anything is kept", () => {
  const choices = { "/amount": { from: "edit", value: 2, problem: "No number." } };
  assert.deepEqual(problemIn(conflict, choices), { path: "/amount", text: "No number." });
  assert.equal(problemIn(conflict, { "/amount": { from: "edit", value: 5 } }), undefined);
});
