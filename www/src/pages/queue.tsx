/** The queue: what waits for the server, and what the server refused, with the reason and the ways out. */
import { useMemo, useState } from "react";
import { db } from "../data/db.ts";
import { entityName } from "../data/entity-name.ts";
import { entryKey, entryTitle, entryWords, queueSummary, type QueueEntry } from "../data/queue.ts";
import { fieldName } from "../lib/errors.ts";
import { capital, count, formatNumber, formatTime, sentence } from "../lib/format.ts";
import { showError, showToast } from "../lib/toasts.ts";
import { useLive } from "../lib/use-live.ts";
import { Chip } from "../ui/marks.tsx";
import { OfflineSwitch } from "../ui/offline-switch.tsx";
import { Empty, Loading } from "../ui/states.tsx";
import { EntryEditor } from "./entry-editor.tsx";
import { SyncTabs } from "./sync-tabs.tsx";

const shownMax = 100;

export function QueuePage() {
  const undecided = useLive(db.sync.queue.list);
  // What the server has accepted stays in the queue until its echo is here; nobody waits for that.
  const waiting = useMemo(() => undecided?.filter((entry) => entry.status !== "settled"), [undecided]);
  const failed = useLive(db.sync.queue.failed);
  return (
    <div className="page">
      <header className="page-head">
        <div>
          <h1>Sync</h1>
          <p className="page-summary" data-testid="queue-summary">
            {waiting && failed ? queueSummary(waiting.length, failed.length) : "Loading"}
          </p>
        </div>
        <SyncTabs page="queue" />
      </header>
      <OfflineCard />
      {!waiting || !failed ? <Loading what="the queue" /> : <Lists waiting={waiting} failed={failed} />}
    </div>
  );
}

/** On a phone the header has no room for the switch. */
function OfflineCard() {
  return (
    <div className="narrow-only offline-card">
      <OfflineSwitch id="queue" />
    </div>
  );
}

interface ListsProps {
  waiting: readonly QueueEntry[];
  failed: readonly QueueEntry[];
}

function Lists({ waiting, failed }: ListsProps) {
  if (waiting.length === 0 && failed.length === 0) {
    return (
      <Empty icon="check" title="The queue is empty">
        <p>Every change made here is on the server.</p>
      </Empty>
    );
  }
  return (
    <>
      {failed.length > 0 && (
        <section className="card" aria-labelledby="failed" data-testid="queue-failed">
          <h2 id="failed">Refused by the server</h2>
          <p className="hint">Nothing is lost: each change is kept here until you repair or discard it.</p>
          <ul className="entries">
            {failed.slice(0, shownMax).map((entry) => (
              <FailedEntry key={entryKey(entry)} entry={entry} />
            ))}
          </ul>
          <More all={failed.length} />
        </section>
      )}
      {waiting.length > 0 && (
        <section className="card" aria-labelledby="waiting" data-testid="queue-waiting">
          <h2 id="waiting">Waiting for the server</h2>
          <ul className="entries">
            {waiting.slice(0, shownMax).map((entry) => (
              <WaitingEntry key={entryKey(entry)} entry={entry} />
            ))}
          </ul>
          <More all={waiting.length} />
        </section>
      )}
    </>
  );
}

function More({ all }: { all: number }) {
  return all > shownMax ? <p className="hint">and {formatNumber(all - shownMax)} more</p> : null;
}

const stateWords: Record<string, string> = {
  writing: "Being stored",
  queued: "Waiting",
  sent: "Sent",
  held: "Waits for another change",
  suspect: "Tried again slowly",
  failed: "Refused",
};

function WaitingEntry({ entry }: { entry: QueueEntry }) {
  return (
    <li className="entry" data-testid="queue-item" data-status={entry.status} data-id={entry.id}>
      <div className="entry-head">
        <strong>{entryTitle(entry, entityName(entry.collection, entry.id))}</strong>
        <Chip tone={entry.status === "suspect" || entry.status === "held" ? "red" : "gray"}>
          {stateWords[entry.status] ?? entry.status}
        </Chip>
      </div>
      <p>{entryWords(entry)}</p>
      <small>
        {capital(entry.collection)}, written {formatTime(entry.at)}
        {entry.attempts > 1 && `, tried ${count(entry.attempts, "time")}`}
      </small>
    </li>
  );
}

function FailedEntry({ entry }: { entry: QueueEntry }) {
  const [editing, setEditing] = useState(false);
  const { n, error } = entry;
  const path = fieldName(error?.path);
  const reason = error?.message ?? "The server gave no reason";

  async function run(what: string, action: () => PromiseLike<unknown>): Promise<void> {
    try {
      await action();
      showToast(what);
    } catch (problem) {
      showError("That did not work.", problem);
    }
  }

  return (
    <li className="entry" data-testid="queue-failed-item" data-status="failed" data-id={entry.id}>
      <div className="entry-head">
        <strong>{entryTitle(entry, entityName(entry.collection, entry.id))}</strong>
        <Chip tone="red">{error?.code ?? "refused"}</Chip>
      </div>
      <p className="entry-reason" data-testid="queue-reason">
        {path && <code data-testid="queue-path">{path}</code>} {path ? reason : sentence(reason)}
      </p>
      <p>{entryWords(entry)}</p>
      <small>
        {capital(entry.collection)}, written {formatTime(entry.at)}
      </small>
      {n && !editing && (
        <div className="entry-actions">
          <button
            type="button"
            className="button"
            data-testid="queue-retry"
            onClick={() => void run("Sent again.", () => db.sync.queue.retry(n))}
          >
            Try again
          </button>
          <button type="button" className="button" data-testid="queue-edit" onClick={() => setEditing(true)}>
            Edit
          </button>
          <button
            type="button"
            className="button danger"
            data-testid="queue-discard"
            onClick={() => void run("Discarded.", () => db.sync.queue.discard(n))}
          >
            Discard
          </button>
        </div>
      )}
      {n && editing && <EntryEditor entry={entry} onClose={() => setEditing(false)} />}
    </li>
  );
}
