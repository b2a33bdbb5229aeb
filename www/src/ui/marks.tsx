/** Small signs: where a row stands with the server, and what status it has. */
import type { ReactNode } from "react";
import { Icon, type IconName } from "./icons.tsx";

export type RowSync = "pending" | "synced" | "conflict" | "failed";

const marks: Record<RowSync, { icon: IconName; words: string }> = {
  pending: { icon: "clock", words: "Not on the server yet" },
  synced: { icon: "check", words: "On the server" },
  conflict: { icon: "fork", words: "Changed by somebody else too" },
  failed: { icon: "warning", words: "Refused by the server" },
};

/** In lists a synced row shows nothing: quiet is the normal state. */
export function SyncMark({ status, verbose = false }: { status: RowSync; verbose?: boolean }) {
  const { icon, words } = marks[status];
  const hidden = status === "synced" && !verbose;
  return (
    <span className="sync-mark" data-status={status} data-testid="sync-mark" title={hidden ? undefined : words}>
      {!hidden && <Icon name={icon} />}
      <span className={verbose ? undefined : "visually-hidden"}>{words}</span>
    </span>
  );
}

export function Chip({ tone, children }: { tone: string; children: ReactNode }) {
  return (
    <span className="chip" data-tone={tone}>
      {children}
    </span>
  );
}
