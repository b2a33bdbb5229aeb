/** Firefox ESR: the core journey. */
import { describe } from "node:test";

import { coreJourney } from "../lib/journey.mjs";
import { scenario, useStack } from "../lib/stack.mjs";

describe("Firefox ESR", () => {
  const stack = useStack({ engine: "firefox" });

  scenario(
    stack,
    "Firefox keeps what was written offline over a reload, syncs it, and a second device agrees",
    coreJourney,
    {
      timeoutMs: 90_000,
    },
  );
});
