/** What a user sees of a line or a server in trouble. The same journey runs in `firefox` and `webkit`. */
import { describe } from "node:test";

import { troubleJourney } from "../lib/shown.mjs";
import { scenario, useStack } from "../lib/stack.mjs";

describe("a line or a server in trouble", () => {
  const stack = useStack();

  scenario(stack, "is told in Chromium: status, event, health, message; every edit counts once", troubleJourney);
});
