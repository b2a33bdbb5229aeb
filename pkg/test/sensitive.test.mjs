/** Sensitive fields: what the app sees of the two clients behind it, and what becomes of its writes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { guarded } from "./guarded.mjs";

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
