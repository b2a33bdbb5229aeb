/** Sensitive fields: what the app sees of the two clients behind it, and what becomes of its writes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { settled } from "./fake.mjs";
import { guarded, write } from "./guarded.mjs";

test("a conflict about a sensitive field is shown with its values, or not at all", () => {
  const { guard, main, aside } = guarded();
  const about = (id, path, more) => ({ id, c: "people", e: "p", path, state: "lost", own: false, at: 1, ...more });
  const values = { base: "1", yours: "2", kept: "3" };
  const [ssn, below, above] = ["/ssn", "/address/street", "/address"].map((path, i) => about(`${i}`, path));
  const name = about("3", "/name", values);
  const other = { ...about("4", "/ssn", values), c: "todos" };
  main.conflicts = [{ ...ssn, own: true }, below, above, name, other];
  aside.conflicts = [{ ...ssn, ...values }, { ...below, ...values, own: true }, { ...name, ...values }];
  assert.deepEqual(JSON.parse(guard.view("conflicts")), [
    { ...ssn, ...values, own: true },
    { ...below, ...values, own: true },
    name,
    other,
  ]);
});

const PATCH = { op: "patch", c: "people", id: "p", set: { "/ssn": "2" } };

test("what is on its way when it is closed is given up, and throws nothing where nobody catches it", async () => {
  for (const loaded of [[], ["people"]]) {
    const { guard, aside, told } = guarded({ timeoutMs: 20 });
    aside.status = { state: "syncing", loaded };
    write(guard, PATCH);
    await settled();
    assert.equal(aside.ops.length, loaded.length);
    await guard.close();
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.deepEqual(told, [{ type: "let go" }]);
  }
});

test("a trap that no call of the app sees is told, and nothing is done after it", async () => {
  const trap = new WebAssembly.RuntimeError("unreachable");
  const refuse = () => {
    throw trap;
  };
  const verdict = [{ type: "verdict", write: 1, index: 0, verdict: { verdict: "rejected" } }];
  const cases = {
    "when a write is sent": [({ aside }) => void (aside.write = refuse)],
    "when the time is over": [() => undefined, () => undefined],
    "when a verdict is heard": [() => undefined, ({ guard }) => guard.heard(JSON.stringify(verdict))],
    "when others have written": [({ aside }) => void (aside.status.loaded = []), ({ guard }) => guard.look()],
  };
  for (const [name, [before, after]] of Object.entries(cases)) {
    const made = guarded({ timeoutMs: 20 });
    const { guard, aside, told } = made;
    before(made);
    write(guard, PATCH);
    await settled();
    if (after !== undefined) aside.failure = trap;
    after?.(made);
    await new Promise((resolve) => setTimeout(resolve, 30));
    const asked = aside.asked.length;
    guard.heard('[{"type":"queue"}]');
    guard.look();
    await settled();
    assert.deepEqual(
      told.map(({ type, code }) => code ?? type),
      ["internal", "let go"],
      name,
    );
    assert.equal(aside.asked.length, asked);
  }
});

test("an edit in the queue is refused where it names a sensitive field of its own collection", () => {
  const { guard, main } = guarded();
  main.queue = [
    { n: [1, 0], collection: "people" },
    { n: [1, 1], collection: "todos" },
  ];
  const edit = (n, more) => guard.command(JSON.stringify({ do: "edit", n, ...more }));
  for (const more of [{ set: { "/ssn": "2" } }, { set: { "/address": {} } }, { unset: ["/address/street/no"] }]) {
    assert.throws(() => edit([1, 0], more), { code: "sensitive-offline" });
    edit([1, 1], more);
  }
  edit([1, 0], { set: { "/name": "Ada" } });
  assert.deepEqual(main.commands, Array(4).fill("edit"));
});

test("both sides rest and hurry together, whichever tab it was that asked", async () => {
  const { guard, main, aside, told } = guarded();
  await guard.open();
  const command = (what) => guard.command(JSON.stringify({ do: what }));
  command("pause");
  write(guard, PATCH);
  await settled();
  assert.deepEqual(aside.commands, ["pause"]);
  assert.deepEqual([told.at(-1).type, told.at(-1).error.code], ["write-failed", "sensitive-offline"]);
  command("resume");
  await settled();
  command("now");
  assert.deepEqual([main, aside].map(({ commands }) => commands), Array(2).fill(["pause", "resume", "now"]));
  const status = [{ type: "status" }];
  for (const state of ["paused", "synced"]) {
    main.status = { ...main.status, state };
    guard.told(JSON.stringify(status));
    await settled();
  }
  assert.deepEqual(aside.commands.slice(3), ["pause", "resume"]);
  // Who is not signed in, or has no room, has not asked for it.
  main.status = { ...main.status, state: "paused", reason: "quota" };
  guard.told(JSON.stringify(status));
  await settled();
  assert.equal(aside.commands.length, 5);
  assert.deepEqual(told.at(-1), status[0]);
});

test("a write is durable when all that it is about is shown as the server has it", async () => {
  const { guard, main, aside, told } = guarded();
  const rows = (client, p, q) => {
    client.entities = new Map(Object.entries({ "people/p": p, "people/q": q }).filter(([, row]) => row));
  };
  const isDurable = async () => {
    await settled();
    return told.some(({ type }) => type === "durable");
  };
  const [old, fresh] = [{ $rev: 1 }, { $rev: 3 }];
  for (const client of [main, aside]) rows(client, old, old);
  write(guard, PATCH, { op: "delete", c: "people", id: "q" });
  await settled();
  rows(aside, old, undefined);
  aside.queue = [{ n: [1, 0], write: 1, status: "settled" }];
  const verdict = (index) => ({ type: "verdict", write: 1, index, verdict: { verdict: "applied", rev: 2 } });
  guard.heard(JSON.stringify([verdict(0), verdict(1)]));
  assert.equal(await isDurable(), false, "`aside` has not read it back");
  rows(aside, fresh, undefined);
  aside.queue = [];
  guard.heard("[]");
  assert.equal(await isDurable(), false, "`main` shows none of it");
  rows(main, fresh, old);
  guard.look();
  assert.equal(await isDurable(), false, "`main` shows what was deleted");
  rows(main, old, undefined);
  guard.look();
  assert.equal(await isDurable(), false, "`main` shows an old row");
  rows(main, fresh, undefined);
  guard.look();
  assert.equal(await isDurable(), true);
  await guard.close();
});

test("an undo is durable when what it undoes is shown so", async () => {
  const { guard, main, aside, told } = guarded();
  for (const client of [main, aside]) client.entities.set("people/p", { $rev: 2 });
  const { write: number } = write(guard, PATCH);
  await settled();
  const applied = (name, rev) =>
    guard.heard(JSON.stringify([{ type: "verdict", write: name, index: 0, verdict: { verdict: "applied", rev } }]));
  applied(1, 2);
  await settled();
  guard.undo(number);
  await settled();
  aside.entities.set("people/p", { $rev: 3 });
  applied(2, 3);
  await settled();
  const durable = () => told.filter(({ type }) => type === "durable").length;
  assert.equal(durable(), 1);
  main.entities.set("people/p", { $rev: 3 });
  guard.look();
  await settled();
  assert.equal(durable(), 2);
  await guard.close();
});

test("what a store has from before the setting is not shown", () => {
  const { guard, main, aside } = guarded();
  const kept = { name: "Ada", ssn: "old", address: { city: "Oslo", street: "old" } };
  main.entities.set("people/p", kept);
  const shown = () => {
    const { $rev, ...row } = JSON.parse(guard.row("people", "p"));
    return row;
  };
  const bare = { id: "p", name: "Ada", address: { city: "Oslo" } };
  assert.deepEqual(shown(), { ...bare, $missing: ["ssn", "address.street"] });
  aside.entities.set("people/p", { name: "Ada", address: { city: "Oslo" } });
  assert.deepEqual(shown(), bare);
});

test("a write does not wait longer for the module's second part than for an answer", async () => {
  for (const whole of [() => new Promise(() => undefined), () => Promise.reject(new Error("no"))]) {
    const { guard, told } = guarded({ timeoutMs: 20, whole });
    write(guard, PATCH);
    await new Promise((resolve) => setTimeout(resolve, 40));
    assert.deepEqual(told.map(({ type, error }) => [type, error.code]), [["write-failed", "sensitive-offline"]]);
    await guard.close();
  }
});

test("when the one in memory cannot go on, that is told; what else it says of itself is not", () => {
  const { guard, told } = guarded();
  const watchdog = (code) => ({ type: "watchdog", code, message: "" });
  guard.heard(JSON.stringify([watchdog("wasm-load"), watchdog("internal")]));
  assert.deepEqual(told, [watchdog("internal")]);
});

test("of several edits the server may refuse some; what it took is said", async () => {
  const { guard, main, aside, told } = guarded();
  for (const client of [main, aside]) client.entities.set("people/p", { $rev: 2 });
  const { write: number } = write(guard, PATCH, { ...PATCH, id: "q" });
  await settled();
  const refused = { verdict: "rejected", code: "invalid" };
  const verdicts = [{ verdict: "applied", rev: 2 }, refused];
  aside.queue = [{ n: [1, 1], write: 1, status: "failed" }];
  const command = aside.command.bind(aside);
  aside.command = (request) => ((aside.queue = []), command(request));
  guard.heard(JSON.stringify(verdicts.map((verdict, index) => ({ type: "verdict", write: 1, index, verdict }))));
  await settled();
  assert.deepEqual(told, [
    { type: "durable", write: number, count: 2 },
    ...verdicts.map((verdict, index) => ({ type: "verdict", write: number, index, verdict })),
  ]);
  assert.deepEqual([aside.commands, main.commands], [["discard"], []]);
  await guard.close();
});
