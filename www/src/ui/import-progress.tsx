/** How far the running import is: what is on this device, and what the server has of it. */
import { useSyncStatus } from "tidewire/react";
import { db } from "../data/db.ts";
import { dismissImport, importJob, isImporting, stopImport, type ImportJob } from "../import/job.ts";
import type { RowError } from "../import/parse.ts";
import { capital, count, formatNumber } from "../lib/format.ts";
import { hrefTo } from "../lib/route.ts";
import { useStore } from "../lib/store.ts";
import { Icon } from "./icons.tsx";

export function ImportProgress({ showErrors = false }: { showErrors?: boolean }) {
  const job = useStore(importJob);
  const { pending } = useSyncStatus(db);
  if (!job) return null;
  const running = isImporting(job);
  return (
    <section
      className="card import-progress"
      aria-label="Import"
      data-testid="import-progress"
      data-phase={job.phase}
      data-stored={job.stored}
    >
      <div className="import-head">
        <p role="status">
          <strong>{headline(job)}</strong>
          <small>{job.source}</small>
        </p>
        {running ? (
          <button type="button" className="button" data-testid="import-stop" onClick={stopImport}>
            Stop
          </button>
        ) : (
          <button
            type="button"
            className="icon-button"
            aria-label="Close"
            data-testid="import-dismiss"
            onClick={dismissImport}
          >
            <Icon name="close" />
          </button>
        )}
      </div>
      {job.phase !== "failed" && (
        <>
          <Bar label="On this device" value={job.stored} max={job.total} />
          <p className="hint">
            {waitingWords(pending, running)}{" "}
            {job.target && !running && <a href={hrefTo(job.target)}>Show {capital(job.target)}</a>}
          </p>
        </>
      )}
      {job.failure && (
        <p className="note" data-tone="bad" role="alert" data-testid="import-failure">
          {job.failure}
        </p>
      )}
      {job.refused > 0 && !showErrors && (
        <a href={hrefTo("import")} data-testid="import-refused">
          {formatNumber(job.refused)} rows were left out: see why
        </a>
      )}
      {job.refused > 0 && showErrors && <RowErrors job={job} />}
    </section>
  );
}

function waitingWords(pending: number, running: boolean): string {
  if (pending > 0) return `${count(pending, "change")} not on the server yet.`;
  return running ? "" : "Everything is on the server.";
}

function headline(job: ImportJob): string {
  const rows = `${formatNumber(job.stored)} of ${formatNumber(job.total)} rows`;
  switch (job.phase) {
    case "reading":
      return "Reading the file";
    case "storing":
      return `Importing: ${rows}`;
    case "done":
      return job.refused > 0 ? `Imported ${rows}` : `Imported all ${formatNumber(job.stored)} rows`;
    case "stopped":
      return `Stopped after ${rows}`;
    case "failed":
      return "The import failed";
  }
}

function Bar({ label, value, max }: { label: string; value: number; max: number }) {
  return (
    <div className="bar">
      <progress aria-label={label} value={value} max={max || 1} />
    </div>
  );
}

function ErrorLine({ error: { row, path, message, code } }: { error: RowError }) {
  return (
    <li data-testid="import-error">
      <strong>Row {formatNumber(row)}</strong> {path && <code>{path}</code>} {message} <small>{code}</small>
    </li>
  );
}

function RowErrors({ job }: { job: ImportJob }) {
  return (
    <details open data-testid="import-errors">
      <summary>{formatNumber(job.refused)} rows were left out</summary>
      <ul className="row-errors">
        {job.errors.map((error, index) => (
          <ErrorLine key={index} error={error} />
        ))}
      </ul>
      {job.refused > job.errors.length && <p className="hint">Only the first {job.errors.length} are listed.</p>}
    </details>
  );
}
