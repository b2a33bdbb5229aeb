/** What is kept off the disk in Chromium; `firefox` and `webkit` do the same. */
import { describe } from "node:test";

import { useStack } from "../lib/stack.mjs";
import { diskScenarios } from "../lib/vault.mjs";

describe("what is kept off the disk in Chromium", () => {
  const stack = useStack();

  diskScenarios(stack, "chromium");
});
