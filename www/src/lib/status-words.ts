/** Every state of the sync in words a person would use. */
import type { PauseReason, SyncStatus } from "tidewire";
import { count, formatAgo, formatDuration } from "./format.ts";

export interface StatusWords {
  tone: "good" | "busy" | "quiet" | "bad";
  label: string;
  /** One or two sentences: what it means, and what to do if anything. */
  detail: string;
}

export interface Surroundings {
  workOffline: boolean;
  browserOnline: boolean;
  now: number;
}

export function describeStatus(status: SyncStatus, around: Surroundings): StatusWords {
  const kept = status.pending > 0 ? ` ${count(status.pending, "change")} kept here until then.` : "";
  if (around.workOffline) {
    const network = around.browserOnline
      ? "The network is there; you chose not to use it."
      : "The browser is offline too.";
    return {
      tone: "quiet",
      label: "Working offline",
      detail: `${network} Switch "Work offline" off to sync.${kept}`,
    };
  }
  switch (status.state) {
    case "local":
      return {
        tone: "quiet",
        label: "On this device only",
        detail: "No server is set up. Everything stays in this browser.",
      };
    case "offline":
      return {
        tone: "quiet",
        label: "Offline",
        detail: around.browserOnline
          ? `The server cannot be reached. Keep working: it is tried again by itself.${kept}`
          : `There is no network. Keep working: everything is sent when it is back.${kept}`,
      };
    case "connecting":
      return { tone: "busy", label: "Connecting", detail: connecting(status, around) + kept };
    case "syncing":
      return {
        tone: "busy",
        label: status.pending > 0 ? "Sending" : "Syncing",
        detail: status.pending > 0 ? `${count(status.pending, "change")} on the way.` : "Fetching what is new.",
      };
    case "synced":
      if (status.failed > 0) {
        return {
          tone: "bad",
          label: "Needs you",
          detail: `The server refused ${count(status.failed, "change")}. Open the queue to repair or discard.`,
        };
      }
      return status.pending > 0
        ? {
            tone: "busy",
            label: "Waiting",
            detail: `${count(status.pending, "change")} not on the server yet. The queue says why.`,
          }
        : {
            tone: "good",
            label: "Up to date",
            detail: `Everything is on the server. Last synced ${formatAgo(status.at ?? around.now, around.now)}.`,
          };
    case "paused":
      return paused(status.reason, kept);
  }
}

function connecting(status: Extract<SyncStatus, { state: "connecting" }>, around: Surroundings): string {
  const { attempt = 0, retryAt = 0 } = status;
  if (attempt <= 1) return "Looking for the server.";
  const wait = retryAt - around.now;
  const next = wait > 500 ? ` Trying again in ${formatDuration(wait)}.` : "";
  return `The server did not answer (attempt ${attempt}).${next}`;
}

function paused(reason: PauseReason | undefined, kept: string): StatusWords {
  switch (reason) {
    case "auth":
      return {
        tone: "bad",
        label: "Signed out",
        detail: `The server did not accept your sign-in. Reload the page to sign in again.${kept}`,
      };
    case "quota":
      return {
        tone: "bad",
        label: "Storage full",
        detail: `This browser has no room left. Free some space, then reload.${kept}`,
      };
    case "upgrade":
      return {
        tone: "bad",
        label: "Update needed",
        detail: `The server speaks a newer version. Reload the page to update.${kept}`,
      };
    case "wrong-user":
      return {
        tone: "bad",
        label: "Another user's data",
        detail: `This database belongs to somebody else. Switch back to that user.${kept}`,
      };
    default:
      return { tone: "quiet", label: "Paused", detail: `The sync is paused.${kept}` };
  }
}
