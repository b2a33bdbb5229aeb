import assert from "node:assert/strict";
import { test } from "node:test";
import { missingPrograms, wantedBrowsers } from "./browsers.mjs";
import { countTests } from "./counts.mjs";
import { withoutBars, withoutCrates } from "./parts.mjs";
import { cargoCounter, seconds } from "./progress.mjs";
import { ask, start } from "./shell.mjs";
import { nodeIsSupported } from "./toolchain.mjs";

test("Node 20.19 to 26 is supported", () => {
  assert.deepEqual(["20.19.0", "22.0.0", "26.9.1"].map(nodeIsSupported), [true, true, true]);
  assert.deepEqual(["18.20.0", "20.18.3", "27.0.0"].map(nodeIsSupported), [false, false, false]);
});

test("TIDEWIRE_BROWSERS names fewer browsers", () => {
  assert.deepEqual(wantedBrowsers("").wanted, ["chromium", "firefox", "webkit"]);
  const expected = { wanted: ["firefox"], left: ["chromium", "webkit"], unknown: ["opera"] };
  assert.deepEqual(wantedBrowsers("firefox, opera"), expected);
  assert.ok(Array.isArray(missingPrograms("webkit")));
});

test("tests are counted for each runner", () => {
  const cargo = "test result: ok. 3 passed; 0 failed; 0 ignored\ntest result: FAILED. 1 passed; 2 failed; 0 ignored\n";
  assert.deepEqual(countTests(cargo, false), { passed: 4, failed: 2 });
  assert.deepEqual(countTests("ℹ tests 5\nℹ pass 4\nℹ fail 1\n", false), { passed: 4, failed: 1 });
  const vitest = " Test Files  1 passed (1)\n      Tests  2 failed | 7 passed (9)\n";
  assert.deepEqual(countTests(vitest, false), { passed: 7, failed: 2 });
  assert.deepEqual(countTests("12 passed, 0 failed\n", true), { passed: 12, failed: 0 });
});

test("a step without tests is one test, and a bad end is a failure", () => {
  assert.deepEqual(countTests("", true), { passed: 1, failed: 0 });
  assert.deepEqual(countTests("error: nope", false), { passed: 0, failed: 1 });
  assert.deepEqual(countTests("12 passed, 0 failed\npanic", false), { passed: 12, failed: 1 });
});

test("times and cargo's counter are readable", () => {
  assert.deepEqual([seconds(1_234), seconds(125_000)], ["1.2 s", "2 min 05 s"]);
  assert.equal(cargoCounter("Building [==>  ] 1/9: a\r   Building [===> ] 23/120: b"), "23/120 crates");
  assert.equal(withoutBars("\u001b[1mCompiling\u001b[0m a\r    Building [=> ] 1/2: a\rdone\n"), "Compiling a\ndone");
});

test("a failure is shown without the crates that cargo went through", () => {
  const text = "$ cargo clippy\n    Checking serde v1.0.0\n   Compiling rustix v1.1.6\nerror: unused\n  --> a.rs:1";
  assert.equal(withoutCrates(text), "$ cargo clippy\nerror: unused\n  --> a.rs:1");
});

test("children are run in a group of their own and their exit code is kept", async () => {
  let output = "";
  const onText = (text) => (output += text);
  const code = await start(["node", "-e", "console.log(1); process.exit(98)"], { onText }).done;
  assert.deepEqual([code, output], [98, "1\n"]);
  const sleeper = start(["node", "-e", "setInterval(() => {}, 1000)"]);
  sleeper.stop("SIGTERM");
  assert.equal(await sleeper.done, 143);
  assert.equal(await start(["no-such-program"]).done, 127);
  assert.equal(ask(["no-such-program"]), undefined);
});
