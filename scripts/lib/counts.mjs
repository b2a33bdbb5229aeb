// How many tests a step ran, from what the test runners print.
const SHAPES = [
  // cargo test
  { passed: /^test result: .*?(\d+) passed/gm, failed: /^test result: .*?(\d+) failed/gm },
  // node --test (spec and tap)
  { passed: /^(?:ℹ|#) pass (\d+)/gm, failed: /^(?:ℹ|#) fail (\d+)/gm },
  // vitest, and our browser runner: `Tests  3 passed`, `3 passed, 1 failed`
  {
    passed: /^\s*Tests\s.*?(\d+) passed|^(\d+) passed/gm,
    failed: /^\s*Tests\s.*?(\d+) failed|^\d+ passed, (\d+) failed/gm,
  },
];

/** Sums of all runners; a step that names no tests is one test itself. */
export function countTests(output, ok) {
  const text = output.replaceAll(/\u001b\[[0-9;]*m/g, "");
  const sum = (shape) => [...text.matchAll(shape)].reduce((all, match) => all + Number(match[1] ?? match[2]), 0);
  const passed = SHAPES.reduce((all, shape) => all + sum(shape.passed), 0);
  const failed = SHAPES.reduce((all, shape) => all + sum(shape.failed), 0);
  if (passed + failed === 0) return ok ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
  // A runner that ended badly without naming a failed test still failed.
  return { passed, failed: ok ? failed : Math.max(failed, 1) };
}
