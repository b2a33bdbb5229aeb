/** The second part of the module comes late or not at all, in each browser. */
import { describe } from "node:test";

import { lateJourney, neededJourney, rareJourney, refusedJourney } from "../lib/parts.mjs";
import { scenario, useStack } from "../lib/stack.mjs";

describe("without the second part of the module", () => {
  const stack = useStack();

  scenario(stack, "a tab reads and writes; a conflict is settled when it has come", lateJourney);
  scenario(stack, "a store that needs it opens when it has come", neededJourney);
  scenario(stack, "a store whose collections need it opens when it has come", rareJourney);
  scenario(stack, "that is refused, a tab works alone, says why, and syncs when it can be had", refusedJourney);
});
