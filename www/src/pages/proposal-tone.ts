/** The colour of each status of a proposal. */
import type { ProposalStatus } from "../data/schema.ts";

export const proposalTone: Record<ProposalStatus, string> = {
  draft: "gray",
  sent: "blue",
  won: "green",
  lost: "red",
};
