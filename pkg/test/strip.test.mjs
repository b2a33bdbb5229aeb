/** What a store without sensitive fields is given of the server's answers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { stripped } from "../dist/host/strip.js";

const FIELDS = new Map([["people", ["/ssn", "/address/street", "/a~1b"]]]);
const DOC = { name: "Ada", ssn: "secret", address: { street: "secret", city: "Øslo" }, "a/b": "secret" };

/** What comes of an answer that arrives in pieces of this size. */
async function answered(lines, { status = 200, json = true, size = 3, body } = {}) {
  const bytes = new TextEncoder().encode(lines);
  const net = {
    exchange: async (_path, _body, _bearer, _signal, answer) => {
      answer.head(status, undefined, json);
      for (let at = 0; at < bytes.length; at += size) await answer.piece(bytes.subarray(at, at + size));
    },
    socket: (news) => news,
  };
  const decoder = new TextDecoder();
  let text = "";
  const piece = async (part) => void (text += decoder.decode(part, { stream: true }));
  await stripped(net, FIELDS).exchange("pull", body, undefined, undefined, { head: () => undefined, piece });
  return text;
}

const parsed = (text) => text.split("\n").filter(Boolean).map((line) => JSON.parse(line));

test("lines lose the fields, wherever the network cuts them; other collections keep all", async () => {
  const rows = [
    { pull: { v: 1, total: 2 } },
    { id: "p", c: "people", rev: 1, g: ["t"], doc: DOC },
    { id: "q", c: "people", rev: 2, g: ["t"] },
    { id: "t", c: "todos", rev: 3, doc: DOC },
    { id: "u", c: "people", rev: 4, doc: { address: "secret?" } },
    { done: true, digests: { people: "1-1", todos: "1-2" } },
  ];
  for (const size of [1, 2, 7, 10_000]) {
    const got = parsed(await answered(rows.map((row) => `${JSON.stringify(row)}\n`).join(""), { size }));
    assert.deepEqual(got, [
      rows[0],
      { ...rows[1], doc: { name: "Ada", address: { city: "Øslo" } } },
      ...rows.slice(2, 5),
      { done: true, digests: { todos: "1-2" } },
    ]);
    assert.ok(got.every((row) => row.c === undefined || Object.keys(row)[0] === "id"), "the id stays first");
  }
});

test("conflicts and verdicts lose values of the fields, of what holds them and of what they hold", async () => {
  const said = (path, value) => ({ path, base: value, yours: value, kept: value });
  const conflict = (path, value) => {
    const doc = { c: "people", e: "p", ...said(path, value) };
    return `${JSON.stringify({ id: path, c: "$conflicts", rev: 1, doc })}\n`;
  };
  const cases = [
    ["/ssn", "secret", undefined],
    ["/ssn/deep", "secret", undefined],
    ["/a~1b", "secret", undefined],
    ["/address", { street: "secret", city: "Oslo" }, { city: "Oslo" }],
    ["/address/city", "Oslo", "Oslo"],
    ["/name", "Ada", "Ada"],
  ];
  const got = parsed(await answered(cases.map(([path, value]) => conflict(path, value)).join("")));
  const verdict = { n: [1, 0], verdict: "merged", rev: 2 };
  const lists = cases.map(([path, value]) => said(path, value));
  const answer = { verdicts: [{ ...verdict, overwritten: lists, displaced: lists }] };
  const [push] = parsed(await answered(JSON.stringify(answer)));
  cases.forEach(([path, , left], i) => {
    for (const one of [got[i].doc, push.verdicts[0].overwritten[i], push.verdicts[0].displaced[i]]) {
      assert.equal(one.path, path);
      for (const name of ["base", "yours", "kept"]) assert.deepEqual(one[name], left, `${name} of ${path}`);
    }
  });
});

test("what is no answer of a sync server is passed on as it is, or not at all", async () => {
  assert.equal(await answered("<html>Øl</html>", { json: false }), "<html>Øl</html>");
  assert.equal(await answered('{"code":"x"}', { status: 500 }), '{"code":"x"}');
  assert.equal(await answered('{"id":"p","c":"people","doc":{"ssn":"secret"\n'), "?\n");
  assert.equal(await answered("null\n\n"), "?\n\n");
});

test("frames lose the fields, too", () => {
  const told = [];
  let socket;
  const net = { exchange: undefined, socket: (news) => (socket = news) };
  stripped(net, FIELDS).socket({ text: (text) => told.push(text) });
  socket.text(JSON.stringify({ t: "frame", changes: [{ id: "p", c: "people", rev: 1, doc: DOC }] }));
  socket.text(JSON.stringify({ t: "pong" }));
  socket.text("<html>");
  assert.deepEqual(JSON.parse(told[0]).changes[0].doc, { name: "Ada", address: { city: "Øslo" } });
  assert.deepEqual(told.slice(1), ['{"t":"pong"}', "?"]);
});

test("a verdict loses what is sensitive in the collection that its edit was of", async () => {
  const fields = ["/ssn", "/name"].map((path) => ({ path, yours: "1", kept: "2" }));
  const [, name] = fields;
  const verdict = (n) => ({ n, verdict: "merged", rev: 2, overwritten: fields, displaced: fields });
  const edit = (n, c) => ({ n, m: { c, id: "p", kind: "patch" } });
  const body = JSON.stringify({ mutations: [edit([1, 0], "people"), edit([1, 1], "todos"), { n: [2, 0] }] });
  const said = { verdicts: [[1, 0], [1, 1], [2, 0]].map(verdict), forked: [] };
  said.forked = said.verdicts.map(({ n, ...same }) => ({ n, same, differs: false }));
  const [got] = parsed(await answered(JSON.stringify(said), { body }));
  // What was asked by nobody is taken for any collection's.
  const lost = [{ path: "/ssn" }, name];
  const all = [lost, fields, lost].map((list) => ({ overwritten: list, displaced: list }));
  const lists = ({ overwritten, displaced }) => ({ overwritten, displaced });
  assert.deepEqual(got.verdicts.map(lists), all);
  assert.deepEqual(got.forked.map(({ same }) => lists(same)), all);
});

test("a verdict on the live channel loses the same, by the push that it answers", () => {
  const [told, sent] = [[], []];
  let news;
  const socket = { send: (text) => sent.push(text), close: () => sent.push("closed") };
  const net = { exchange: undefined, socket: (given) => ((news = given), socket) };
  const channel = stripped(net, FIELDS).socket({ text: (text) => told.push(JSON.parse(text)) });
  const lost = (path) => ({ path, yours: "1", kept: "2" });
  const item = { n: [1, 0], verdict: "merged", rev: 2, overwritten: [lost("/ssn"), lost("/name")] };
  const push = (id, c) =>
    JSON.stringify({ t: "push", id, body: { mutations: [{ n: [1, 0], m: { c, id: "p", kind: "patch" } }] } });
  const body = { verdicts: [item], forked: [{ n: [1, 0], same: item, differs: false }] };
  const answer = (id) => news.text(JSON.stringify({ t: "answer", id, status: 200, body }));
  // Nobody asked; then of a collection with such fields, of one without, and of another push.
  answer(0);
  channel.send(push(1, "people"));
  channel.send('{"t":"ping"}');
  answer(1);
  channel.send(push(2, "todos"));
  answer(2);
  answer(3);
  channel.close();
  assert.deepEqual(sent, [push(1, "people"), '{"t":"ping"}', push(2, "todos"), "closed"]);
  const [less, all] = [[{ path: "/ssn" }, lost("/name")], item.overwritten];
  const lostOf = ({ verdicts, forked }) => [verdicts[0].overwritten, forked[0].same.overwritten];
  const seen = told.map(({ id, body }) => [id, ...lostOf(body)]);
  assert.deepEqual(seen, [[0, less, less], [1, less, less], [2, all, all], [3, less, less]]);
});

test("an array where the object with a field may be is taken out whole", async () => {
  const people = { id: "p", c: "people", rev: 1, doc: { name: "Ada", address: [{ street: "secret" }] } };
  const doc = { c: "people", e: "p", path: "/address", base: [{ street: "secret" }], yours: { city: "Oslo" } };
  const conflict = { id: "1", c: "$conflicts", rev: 2, doc };
  const got = parsed(await answered([people, conflict].map((row) => `${JSON.stringify(row)}\n`).join("")));
  const { base, ...kept } = doc;
  assert.deepEqual(got, [
    { ...people, doc: { name: "Ada" } },
    { ...conflict, doc: kept },
  ]);
});
