/** Import: a file of any shape, or the sample data. Works offline, since it goes through the client's own queue. */
import { useRef, useState, type DragEvent } from "react";
import { importJob, isImporting, runImport } from "../import/job.ts";
import { parseFile } from "../import/parse.ts";
import { targetNames, type TargetName } from "../import/targets.ts";
import { useStore } from "../lib/store.ts";
import { Icon } from "../ui/icons.tsx";
import { ImportProgress } from "../ui/import-progress.tsx";
import { SampleButton } from "./movies.tsx";

const choices = [
  ["", "Choose by the columns"],
  ["records", "Records (any columns, kept as they are)"],
  ["customers", "Customers (name, company, email …)"],
  ["movies", "Movies (columns of the sample data)"],
] as const;

export function ImportPage() {
  const [wanted, setWanted] = useState("");
  const busy = isImporting(useStore(importJob));

  function start(file: File | undefined): void {
    if (!file || busy) return;
    const target: TargetName | undefined = targetNames.find((name) => name === wanted);
    void runImport(file.name, () => parseFile(file), target);
  }

  return (
    <div className="page">
      <header className="page-head">
        <div>
          <h1>Import</h1>
          <p className="page-summary">Rows are stored on this device first and sent when there is a network.</p>
        </div>
      </header>
      <ImportProgress showErrors />
      <section className="card" aria-labelledby="import-file">
        <h2 id="import-file">A file of yours</h2>
        <label className="inline-field">
          <span>Import into</span>
          <select value={wanted} data-testid="import-target" onChange={(event) => setWanted(event.target.value)}>
            {choices.map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        </label>
        <DropZone busy={busy} onFile={start} />
        <p className="hint">
          JSON (a list of objects, or one object a line) or CSV with a heading line, up to 64 MB. A row that does
          not fit is reported and left out; the others go in.
        </p>
      </section>
      <section className="card" aria-labelledby="import-sample">
        <h2 id="import-sample">Sample data</h2>
        <p>
          <strong>movies.json</strong> of the public <em>vega-datasets</em> package: 3,201 records with nulls,
          accents, titles that are numbers and dates in words. They go in exactly as published.
        </p>
        <SampleButton busy={busy} />
      </section>
    </div>
  );
}

function DropZone({ busy, onFile }: { busy: boolean; onFile(file: File | undefined): void }) {
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);

  function onDrop(event: DragEvent): void {
    event.preventDefault();
    setOver(false);
    onFile(event.dataTransfer.files[0]);
  }

  return (
    <div
      className="drop-zone"
      data-over={over || undefined}
      data-testid="drop-zone"
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={onDrop}
    >
      <Icon name="import" />
      <p>Drop a JSON or CSV file here, or</p>
      <input
        ref={input}
        type="file"
        className="visually-hidden"
        tabIndex={-1}
        aria-label="File to import, JSON or CSV"
        accept=".json,.ndjson,.jsonl,.csv,.tsv,application/json,text/csv"
        data-testid="import-file"
        onChange={(event) => {
          onFile(event.target.files?.[0]);
          event.target.value = "";
        }}
      />
      <button
        type="button"
        className="button"
        disabled={busy}
        data-testid="choose-file"
        onClick={() => input.current?.click()}
      >
        Choose a file
      </button>
    </div>
  );
}
