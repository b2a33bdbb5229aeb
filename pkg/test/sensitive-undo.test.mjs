/** Sensitive fields: what becomes of them when a write is taken back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { settled } from "./fake.mjs";
import { guarded, write } from "./guarded.mjs";

const DELETE = { op: "delete", c: "people", id: "p" };
const PERSON = { name: "Ada", ssn: "1", address: { city: "Oslo", street: "a" } };

/** An entity that is there, deleted by `ops`. A write that waits for what it needs fails after `timeoutMs`. */
function deleted(
  ops,
  { stored = { name: "Ada", address: { city: "Oslo" } }, secret = PERSON, timeoutMs = 10_000 } = {},
) {
  const made = guarded({ timeoutMs });
  const { guard, main, aside } = made;
  main.entities.set("people/p", stored);
  if (secret) aside.entities.set("people/p", secret);
  const { write: number } = write(guard, ...ops);
  main.entities.clear();
  return { ...made, undo: () => guard.undo(number) };
}

test("a delete that is taken back brings the sensitive fields back, when it is on the server", async () => {
  const { guard, main, aside, told, undo } = deleted([DELETE]);
  main.queue = [{ n: [1, 0], write: 1, status: "sent" }];
  const { write: number } = JSON.parse(undo());
  await settled();
  assert.deepEqual([main.undone, aside.ops], [[], []], "it would be there before the delete");
  main.queue = [];
  guard.look();
  await settled();
  assert.deepEqual(aside.ops, [], "it is not known to be gone");
  aside.entities.clear();
  guard.look();
  await settled();
  assert.deepEqual(aside.ops, [{ op: "insert", c: "people", count: 1 }]);
  const [line] = aside.lines;
  assert.deepEqual([line.slice(0, 3), JSON.parse(line.slice(3))], ['"p"', PERSON]);
  const shown = { ...PERSON, $rev: 3 };
  for (const client of [main, aside]) client.entities.set("people/p", shown);
  guard.heard(JSON.stringify([{ type: "verdict", write: 1, index: 0, verdict: { verdict: "applied", rev: 3 } }]));
  await settled();
  assert.deepEqual([told[0].type, told[0].write], ["durable", number]);
  await guard.close();
});

test("a delete that is taken back without a connection is refused, and may be tried again", async () => {
  const { guard, aside, told, undo } = deleted([DELETE], { timeoutMs: 20 });
  const { status } = aside;
  aside.entities.clear();
  aside.status = { ...status, loaded: [] };
  undo();
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.deepEqual([told[0].type, told[0].error.code, aside.ops], ["write-failed", "sensitive-offline", []]);
  aside.status = status;
  undo();
  await settled();
  assert.equal(aside.ops.length, 1);
  await guard.close();
});

test("a delete of what had no sensitive field is taken back at once, one of what is not known is not", () => {
  const plain = { name: "Ada" };
  const whole = deleted([DELETE], { stored: plain, secret: plain });
  whole.undo();
  const own = deleted([DELETE], { stored: { ...plain, $rev: 0 }, secret: null });
  own.undo();
  assert.deepEqual([whole.main.undone, own.main.undone], [[1], [1]]);
  const patch = { op: "patch", c: "todos", id: "t", set: { "/title": "x" } };
  for (const made of [deleted([DELETE], { secret: null }), deleted([DELETE, patch])]) {
    assert.throws(made.undo, { code: "bad-mutation", retryable: false });
    assert.deepEqual([made.main.undone, made.aside.ops], [[], []]);
  }
});

test("any other write is taken back where it was made", () => {
  const { guard, main } = guarded();
  const { write: number } = write(guard, { op: "patch", c: "people", id: "p", set: { "/name": "Eda" } });
  guard.undo(number);
  assert.deepEqual(main.undone, [number]);
});
