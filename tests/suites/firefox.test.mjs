/** Firefox ESR: the core journey, in an ordinary window and in a private one, and conflicts in two tabs. */
import { describe } from "node:test";

import { CONFLICT_CONFIG, conflictJourney } from "../lib/conflicts.mjs";
import { coreJourney } from "../lib/journey.mjs";
import { killJourney } from "../lib/killed.mjs";
import { lateJourney, neededJourney, refusedJourney } from "../lib/parts.mjs";
import { roomJourney } from "../lib/room.mjs";
import { troubleJourney } from "../lib/shown.mjs";
import { scenario, useStack } from "../lib/stack.mjs";
import { diskScenarios } from "../lib/vault.mjs";
import { WIRE_CONFIG, wireJourney } from "../lib/wire.mjs";
import { workerJourney } from "../lib/worker.mjs";

describe("Firefox ESR", () => {
  const stack = useStack({ engine: "firefox" });

  scenario(
    stack,
    "Firefox keeps what was written offline over a reload, syncs it, and a second device agrees",
    coreJourney,
  );
});

describe("a private window of Firefox ESR", () => {
  const stack = useStack({ engine: "firefox-private" });

  scenario(stack, "keeps what was written offline over a reload, too, and syncs it", coreJourney);
});

describe("conflicts in Firefox", () => {
  const stack = useStack({ engine: "firefox", config: CONFLICT_CONFIG });

  scenario(stack, "Firefox lets an author decide offline, in another tab, and after a reload", conflictJourney);
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

  scenario(stack, "Firefox sends and gets compressed bodies, and counts their bytes", wireJourney);
});

describe("a service worker in Firefox", () => {
  const stack = useStack({ engine: "firefox" });

  scenario(stack, "Firefox has its service worker send what a page that is gone has written offline", workerJourney);
});

describe("a line or a server in trouble, in Firefox", () => {
  const stack = useStack({ engine: "firefox" });

  scenario(stack, "is told in Firefox: status, event, health, message; every edit counts once", troubleJourney);
});

describe("Firefox killed while it writes", () => {
  const stack = useStack({ engine: "firefox" });

  scenario(
    stack,
    "Firefox loses nothing acknowledged, tears nothing and doubles nothing, 2 times",
    (world) => killJourney(world, "firefox"),
  );
});
