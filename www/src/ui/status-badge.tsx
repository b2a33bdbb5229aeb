/** Where the sync stands, in words, with what to do on request. */
import { useEffect, useState } from "react";
import { useSyncStatus } from "tidewire/react";
import { db } from "../data/db.ts";
import { workOffline } from "../data/offline.ts";
import { formatNumber } from "../lib/format.ts";
import { useBrowserOnline } from "../lib/online.ts";
import { hrefTo } from "../lib/route.ts";
import { describeStatus } from "../lib/status-words.ts";
import { useStore } from "../lib/store.ts";
import { OfflineSwitch } from "./offline-switch.tsx";
import { Popover } from "./popover.tsx";

export function StatusBadge() {
  const status = useSyncStatus(db);
  const offline = useStore(workOffline);
  const browserOnline = useBrowserOnline();
  const now = useNow(status.state === "connecting" ? 1_000 : 15_000);
  const words = describeStatus(status, { workOffline: offline, browserOnline, now });

  const button = (
    <>
      <span className="dot" aria-hidden="true" />
      <span className="badge-label">{words.label}</span>
      {status.pending > 0 && (
        <span className="badge-count" data-testid="pending-count" title="Changes not on the server yet">
          {formatNumber(status.pending)}
          <span className="visually-hidden"> changes waiting</span>
        </span>
      )}
    </>
  );

  return (
    <Popover
      className="badge"
      button={button}
      label="Sync"
      testId="status-badge"
      data={{
        "data-state": offline ? "paused" : status.state,
        "data-tone": words.tone,
        "data-pending": status.pending,
      }}
    >
      <p data-testid="status-detail">{words.detail}</p>
      {!browserOnline && <p className="hint">The browser reports no network.</p>}
      {status.storage === "memory" && (
        <p className="note" data-tone="bad">
          This browser gives no lasting storage. Unsent changes are lost when the page closes.
        </p>
      )}
      <OfflineSwitch id="popover" />
      <p>
        <a href={hrefTo("queue")}>Open the queue</a> · <a href={hrefTo("conflicts")}>Open the conflicts</a>
      </p>
    </Popover>
  );
}

/** The time, renewed now and then, so that "2 min ago" stays true. */
function useNow(everyMs: number): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
