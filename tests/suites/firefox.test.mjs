/** Firefox ESR: the core journey, in an ordinary window and in a private one, and conflicts in two tabs. */
import { describe } from "node:test";

import { CONFLICT_CONFIG, conflictJourney } from "../lib/conflicts.mjs";
import { coreJourney } from "../lib/journey.mjs";
import { lateJourney, neededJourney, refusedJourney } from "../lib/parts.mjs";
import { roomJourney } from "../lib/room.mjs";
import { scenario, useStack } from "../lib/stack.mjs";
import { diskScenarios } from "../lib/vault.mjs";
import { WIRE_CONFIG, wireJourney } from "../lib/wire.mjs";

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

describe("a private window of Firefox ESR", () => {
  const stack = useStack({ engine: "firefox-private" });

  scenario(stack, "keeps what was written offline over a reload, too, and syncs it", coreJourney, {
    timeoutMs: 90_000,
  });
});

describe("conflicts in Firefox", () => {
  const stack = useStack({ engine: "firefox", config: CONFLICT_CONFIG });

  scenario(stack, "Firefox lets an author decide offline, in another tab, and after a reload", conflictJourney, {
    timeoutMs: 120_000,
  });
});

describe("what is kept off the disk in Firefox", () => {
  const stack = useStack({ engine: "firefox" });

  diskScenarios(stack, "firefox");
});

describe("without the second part of the module, in Firefox", () => {
  const stack = useStack({ engine: "firefox" });
  const name = "Firefox";

  scenario(stack, `${name} reads and writes; a conflict is settled when it has come`, lateJourney);
  scenario(stack, `${name} opens a store that needs it when it has come`, neededJourney);
  scenario(stack, `${name} says in health what room there is`, roomJourney);
  scenario(stack, `${name} works alone while it is refused, and syncs when it can be had`, refusedJourney);
});

describe("what travels, in Firefox", () => {
  const stack = useStack({ engine: "firefox", config: WIRE_CONFIG });

  scenario(stack, "Firefox sends and gets compressed bodies, and counts their bytes", wireJourney, {
    timeoutMs: 90_000,
  });
});
