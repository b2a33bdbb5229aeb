/** Health and numbers of the sync, and the export. */
import type { ReactNode } from "react";
import { db } from "../data/db.ts";
import { exportToFile } from "../data/export.ts";
import { serverUrl, user } from "../data/session.ts";
import { formatAgo, formatBytes, formatDuration, formatNumber } from "../lib/format.ts";
import { useLive } from "../lib/use-live.ts";
import { Icon } from "../ui/icons.tsx";
import { Loading } from "../ui/states.tsx";
import { SyncTabs } from "./sync-tabs.tsx";

export function HealthPage() {
  const health = useLive(db.sync.health);
  return (
    <div className="page">
      <header className="page-head">
        <div>
          <h1>Sync</h1>
          <p className="page-summary" data-testid="health-summary">
            {health ? (health.healthy ? "Healthy" : "Needs a look") : "Loading"}
          </p>
        </div>
        <SyncTabs page="health" />
      </header>
      {!health ? (
        <Loading what="the health of the sync" />
      ) : (
        <>
          <HealthCard health={health} />
          <MetricsCard />
        </>
      )}
      <section className="card" aria-labelledby="export">
        <h2 id="export">Your data</h2>
        <p>Everything that this device holds, unsent changes included, as one JSON file.</p>
        <button type="button" className="button" data-testid="export" onClick={() => void exportToFile()}>
          <Icon name="download" /> Export
        </button>
        <p className="hint">
          {user} at {serverUrl}
        </p>
      </section>
    </div>
  );
}

type Health = NonNullable<ReturnType<typeof db.sync.health.peek>>;

function HealthCard({ health }: { health: Health }) {
  return (
    <section className="card" aria-labelledby="health" data-testid="health">
      <h2 id="health">Health</h2>
      {health.reasons.length > 0 && (
        <ul className="note" data-tone="bad" data-testid="health-reasons">
          {health.reasons.map((reason) => (
            <li key={reason}>{reasonWords[reason] ?? reason}</li>
          ))}
        </ul>
      )}
      <dl className="facts">
        <Fact label="Waiting">{formatNumber(health.pending)}</Fact>
        <Fact label="Refused">{formatNumber(health.failed)}</Fact>
        <Fact label="Stuck">{formatNumber(health.stuck)}</Fact>
        <Fact label="Oldest waiting">
          {health.oldestPendingMs ? formatDuration(health.oldestPendingMs) : "none"}
        </Fact>
        <Fact label="Last sync">
          {health.lastSyncAgeMs === null || health.lastSyncAgeMs === undefined
            ? "never"
            : `${formatDuration(health.lastSyncAgeMs)} ago`}
        </Fact>
        <Fact label="Errors">{`${Math.round(health.errorRate * 100)} %`}</Fact>
      </dl>
      <table>
        <caption>By collection</caption>
        <thead>
          <tr>
            <th scope="col">Collection</th>
            <th scope="col">Entries</th>
            <th scope="col">Last complete sync</th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(health.collections).map(([name, one]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>{formatNumber(one.count)}</td>
              <td>{one.lastSyncedAt ? formatAgo(one.lastSyncedAt) : "not complete"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

const reasonWords: Record<string, string> = {
  failed: "The server refused changes. Open the queue to repair them.",
  stuck: "Changes wait longer than they should.",
  "error-rate": "Many requests fail.",
  "last-sync": "The last sync is long ago.",
};

function MetricsCard() {
  const metrics = useLive(db.sync.metrics);
  if (!metrics) return null;
  return (
    <section className="card" aria-labelledby="metrics" data-testid="metrics">
      <h2 id="metrics">Numbers since this page opened</h2>
      <dl className="facts">
        <Fact label="Requests">{formatNumber(metrics.requests)}</Fact>
        <Fact label="Failed requests">{formatNumber(metrics.failures)}</Fact>
        <Fact label="Sent">{traffic(metrics.bytesUp, metrics.wireUp)}</Fact>
        <Fact label="Received">{traffic(metrics.bytesDown, metrics.wireDown)}</Fact>
        <Fact label="Push, median / slowest 1 %">{spread(metrics.pushMs)}</Fact>
        <Fact label="Pull, median / slowest 1 %">{spread(metrics.pullMs)}</Fact>
        <Fact label="Recoveries">{formatNumber(metrics.recoveries)}</Fact>
      </dl>
    </section>
  );
}

/** Bytes before compression, and after it where that is known and less. */
function traffic(bytes: number, wire: number | null | undefined): string {
  const all = formatBytes(bytes);
  return typeof wire === "number" && wire < bytes ? `${all}, compressed to ${formatBytes(wire)}` : all;
}

function spread({ p50, p99 }: { readonly p50: number | null; readonly p99: number | null }): string {
  if (p50 === null || p99 === null) return "none yet";
  return `${formatDuration(p50)} / ${formatDuration(p99)}`;
}

function Fact({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}
