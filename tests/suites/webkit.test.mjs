/** WebKitGTK, Safari's engine: the core journey. */
import { describe } from "node:test";

import { coreJourney } from "../lib/journey.mjs";
import { scenario, useStack } from "../lib/stack.mjs";

describe("WebKitGTK", () => {
  const stack = useStack({ engine: "webkit" });

  scenario(
    stack,
    "WebKit keeps what was written offline over a reload, syncs it, and a second device agrees",
    coreJourney,
    {
      timeoutMs: 90_000,
    },
  );
});
