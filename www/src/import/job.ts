/**
 * One import at a time. Rows are checked one by one and stored in chunks through the client's own queue, so an import
 * works offline like any other edit. A bad row is reported and skipped; its neighbours go in.
 */
import { createStore } from "../lib/store.ts";
import { explain } from "../lib/errors.ts";
import type { Parsed, RawRow, RowError } from "./parse.ts";
import { guessTarget, targets, type Target, type TargetName } from "./targets.ts";

export interface ImportJob {
  source: string;
  target: TargetName | undefined;
  phase: "reading" | "storing" | "done" | "stopped" | "failed";
  total: number;
  stored: number;
  /** Rows that were refused; only the first hundred keep their reasons. */
  refused: number;
  errors: readonly RowError[];
  /** Why nothing could be imported at all. */
  failure: string | undefined;
}

const chunkRows = 200;
const errorsShownMax = 100;

export const importJob = createStore<ImportJob | undefined>(undefined);

let stopRequested = false;

export function isImporting(job = importJob.get()): boolean {
  return job?.phase === "reading" || job?.phase === "storing";
}

export function stopImport(): void {
  stopRequested = true;
}

export function dismissImport(): void {
  if (!isImporting()) importJob.set(undefined);
}

/** Reads, then stores. Resolves when every row is durable on this device or reported. */
export async function runImport(source: string, read: () => Promise<Parsed>, wanted?: TargetName): Promise<void> {
  if (isImporting()) return;
  stopRequested = false;
  const start: ImportJob = {
    source,
    target: wanted,
    phase: "reading",
    total: 0,
    stored: 0,
    refused: 0,
    errors: [],
    failure: undefined,
  };
  importJob.set(start);
  try {
    const { rows, errors } = await read();
    const target = wanted ?? guessTarget(rows);
    importJob.set({ ...start, target, phase: "storing", total: rows.length });
    report(errors);
    await store(rows, targets[target], source);
    change((job) => ({ ...job, phase: stopRequested ? "stopped" : "done" }));
  } catch (error) {
    change((job) => ({ ...job, phase: "failed", failure: explain(error).text }));
  }
}

async function store(rows: Parsed["rows"], target: Target, source: string): Promise<void> {
  for (let from = 0; from < rows.length && !stopRequested; from += chunkRows) {
    const good = checkRows(rows.slice(from, from + chunkRows), target, source);
    if (good.length > 0) await storeChunk(good, target);
    // Let the page draw and the user click between two chunks.
    await new Promise((resolve) => setTimeout(resolve));
  }
}

interface Checked {
  n: number;
  entity: unknown;
}

function checkRows(rows: readonly { n: number; value: RawRow }[], target: Target, source: string): Checked[] {
  const good: Checked[] = [];
  const bad: RowError[] = [];
  for (const { n, value } of rows) {
    const entity = target.map(value, n, source);
    const result = target.schema.safeParse(entity);
    const issue = result.error?.issues[0];
    if (issue) bad.push({ row: n, code: "invalid", path: issue.path.join("."), message: issue.message });
    else good.push({ n, entity });
  }
  report(bad);
  return good;
}

/** All together; when Tidewire refuses the chunk, one by one, so that only the row at fault stays out. */
async function storeChunk(chunk: readonly Checked[], target: Target): Promise<void> {
  try {
    await target.insertMany(chunk.map(({ entity }) => entity));
    change((job) => ({ ...job, stored: job.stored + chunk.length }));
  } catch {
    for (const { n, entity } of chunk) {
      try {
        await target.insert(entity);
        change((job) => ({ ...job, stored: job.stored + 1 }));
      } catch (error) {
        const { code, path, text } = explain(error);
        report([{ row: n, code: code ?? "failed", path: path ?? "", message: text }]);
      }
    }
  }
}

function report(errors: readonly RowError[]): void {
  if (errors.length === 0) return;
  change((job) => ({
    ...job,
    refused: job.refused + errors.length,
    errors: [...job.errors, ...errors].slice(0, errorsShownMax),
  }));
}

function change(next: (job: ImportJob) => ImportJob): void {
  importJob.set((job) => job && next(job));
}
