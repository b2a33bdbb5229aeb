/**
 * Every code block of the README compiles. A block that begins with `// name.ts` is that file; others may import
 * it.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("..", import.meta.url));

test("every code block of the README compiles", () => {
  const blocks = [...readFileSync(path.join(here, "README.md"), "utf8").matchAll(/^```(tsx?)\n(.*?)^```$/gms)];
  assert.ok(blocks.length >= 7);
  const directory = mkdtempSync(path.join(here, "types", "readme-"));
  try {
    blocks.forEach(([, language, code], index) => {
      const name = /^\/\/ (\S+\.tsx?)$/m.exec(code.split("\n")[0])?.[1] ?? `block${index}.${language}`;
      writeFileSync(path.join(directory, name), `${code}\nexport {};\n`);
    });
    const config = { extends: "../../tsconfig.test.json", include: ["."] };
    writeFileSync(path.join(directory, "tsconfig.json"), JSON.stringify(config));
    const tsc = fileURLToPath(new URL("bin/tsc", import.meta.resolve("typescript/package.json")));
    execFileSync(process.execPath, [tsc, "-p", directory, "--noEmit"], { encoding: "utf8", stdio: "pipe" });
  } catch (error) {
    assert.fail(error.stdout || error);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
