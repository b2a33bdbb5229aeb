/** WebKitGTK, Safari's engine: the core journey, and conflicts in two tabs. */
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

describe("WebKitGTK", () => {
  const stack = useStack({ engine: "webkit" });

  scenario(
    stack,
    "WebKit keeps what was written offline over a reload, syncs it, and a second device agrees",
    coreJourney,
  );
});

describe("conflicts in WebKitGTK", () => {
  const stack = useStack({ engine: "webkit", config: CONFLICT_CONFIG });

  scenario(stack, "WebKit lets an author decide offline, in another tab, and after a reload", conflictJourney);
});

describe("what is kept off the disk in WebKitGTK", () => {
  const stack = useStack({ engine: "webkit" });

  diskScenarios(stack, "webkit");
});

describe("without the second part of the module, in WebKitGTK", () => {
  const stack = useStack({ engine: "webkit" });
  const name = "WebKit";

  scenario(stack, `${name} reads and writes; a conflict is settled when it has come`, lateJourney);
  scenario(stack, `${name} opens a store that needs it when it has come`, neededJourney);
  scenario(stack, `${name} says in health what room there is`, roomJourney);
  scenario(stack, `${name} works alone while it is refused, and syncs when it can be had`, refusedJourney);
});

describe("what travels, in WebKit", () => {
  const stack = useStack({ engine: "webkit", config: WIRE_CONFIG });

  const journey = (world) => wireJourney(world, { tells: false });
  scenario(stack, "WebKit sends and gets compressed bodies, and counts those it sends", journey);
});

describe("a service worker in WebKit", () => {
  const stack = useStack({ engine: "webkit" });

  scenario(stack, "WebKit has its service worker send what a page that is gone has written offline", workerJourney);
});

describe("a line or a server in trouble, in WebKit", () => {
  const stack = useStack({ engine: "webkit" });

  scenario(stack, "is told in WebKit: status, event, health, message; every edit counts once", troubleJourney);
});

describe("WebKit killed while it writes", () => {
  const stack = useStack({ engine: "webkit" });

  scenario(
    stack,
    "WebKit loses nothing acknowledged, tears nothing and doubles nothing, 2 times",
    (world) => killJourney(world, "webkit"),
  );
});
