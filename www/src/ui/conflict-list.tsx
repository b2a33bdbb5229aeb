/** The list of conflicts: each a link with a box to choose it, and what can be done with all that are chosen. */
import type { ReactNode } from "react";
import {
  conflictHref,
  conflictTitle,
  conflictWords,
  isChoosable,
  useLoadStatus,
  type Conflict,
  type Part,
} from "../data/conflicts.ts";
import { decisionOf, decisions, undo } from "../data/decisions.ts";
import { capital, count, formatTime } from "../lib/format.ts";
import { useStore } from "../lib/store.ts";
import { FirstSync } from "./first-sync.tsx";
import { MakeConflict } from "./make-conflict.tsx";
import { Chip } from "./marks.tsx";
import { Empty, Loading } from "./states.tsx";
import { VirtualList } from "./virtual-list.tsx";

interface Props {
  part: Part;
  items: readonly Conflict[] | undefined;
  id: string | undefined;
  selected: ReadonlySet<string>;
  onToggle(key: string): void;
  onSelect(keys: readonly string[]): void;
  onSettle(how: "mine" | "theirs" | "back"): void;
}

export function ConflictList({ part, items, id, selected, onToggle, onSelect, onSettle }: Props) {
  const loading = useLoadStatus();
  if (!items) return <Loading what="the conflicts" />;
  if (items.length === 0 && loading !== "complete")
    return (
      <FirstSync
        what="conflicts"
        status={loading}
        advice="It has not been in touch with the server, so it cannot know of any."
      />
    );
  if (items.length === 0) return part === "waiting" ? <NothingWaits /> : <NothingSettled />;
  const choosable = items.filter(isChoosable);
  return (
    <>
      <VirtualList
        rows={items.map((conflict) => ({ id: conflict.key, conflict }))}
        rowHeight={76}
        label={part === "waiting" ? "Conflicts that wait for you" : "Settled conflicts"}
        testId="conflict-list"
        selectedId={id}
        resetKey={part}
      >
        {({ conflict }) => (
          <ConflictRow
            conflict={conflict}
            open={conflict.key === id}
            chosen={selected.has(conflict.key)}
            onToggle={() => onToggle(conflict.key)}
          />
        )}
      </VirtualList>
      {choosable.length > 0 && (
        <footer className="bulk" data-testid="bulk">
          <label className="bulk-all">
            <input
              type="checkbox"
              checked={selected.size > 0 && selected.size === choosable.length}
              data-testid="select-all"
              onChange={(event) => onSelect(event.target.checked ? choosable.map(({ key }) => key) : [])}
            />
            <span aria-live="polite">{selected.size === 0 ? "Choose all" : `${selected.size} chosen`}</span>
          </label>
          {selected.size > 0 && <BulkButtons part={part} onSettle={onSettle} />}
        </footer>
      )}
    </>
  );
}

function BulkButtons({ part, onSettle }: { part: Part; onSettle: Props["onSettle"] }): ReactNode {
  const choices =
    part === "waiting"
      ? ([
          ["mine", "Keep mine"],
          ["theirs", "Keep theirs"],
        ] as const)
      : ([["back", "Put mine back"]] as const);
  return (
    <span className="bulk-buttons">
      {choices.map(([how, label]) => (
        <button key={how} type="button" className="button" data-testid={`bulk-${how}`} onClick={() => onSettle(how)}>
          {label}
        </button>
      ))}
    </span>
  );
}

interface RowProps {
  conflict: Conflict;
  open: boolean;
  chosen: boolean;
  onToggle(): void;
}

function ConflictRow({ conflict, open, chosen, onToggle }: RowProps) {
  const title = conflictTitle(conflict);
  const made = useStore(decisions);
  const undoable = conflict.state === "closed" && conflict.mine !== undefined;
  const decision = undoable ? decisionOf(conflict, made) : undefined;
  return (
    <div className="conflict-line">
      {!isChoosable(conflict) ? (
        <span className="choose" aria-hidden="true" />
      ) : (
        <label className="choose">
          <input
            type="checkbox"
            checked={chosen}
            aria-label={`Choose ${title}`}
            data-testid="select-conflict"
            onChange={onToggle}
          />
        </label>
      )}
      <a
        className="row"
        href={conflictHref(conflict)}
        data-testid="conflict-row"
        data-id={conflict.key}
        data-state={conflict.state}
        aria-current={open ? "true" : undefined}
        aria-keyshortcuts="x"
      >
        <span className="row-text">
          <strong>{title}</strong>
          <small>{conflictWords(conflict)}</small>
          <small>
            {capital(conflict.collection)} · {formatTime(conflict.at)}
          </small>
        </span>
        {!decision && <StateChip conflict={conflict} />}
      </a>
      {decision && (
        <button
          type="button"
          className="row-undo"
          aria-label={`Undo the decision about ${title}`}
          data-testid="undo-row"
          onClick={() => undo([decision])}
        >
          Undo
        </button>
      )}
    </div>
  );
}

function StateChip({ conflict: { state, fields } }: { conflict: Conflict }) {
  if (state === "open") return <Chip tone="red">{count(fields.length, "field")}</Chip>;
  return state === "lost" ? <Chip tone="blue">Overwritten</Chip> : <Chip tone="gray">Decided</Chip>;
}

function NothingWaits() {
  return (
    <Empty icon="check" title="No conflict waits for you">
      <p>When two people change the same field, what you wrote is kept, and you decide here.</p>
      <MakeConflict />
    </Empty>
  );
}

function NothingSettled() {
  return (
    <Empty icon="fork" title="Nothing was settled yet">
      <p>Values that lost by a rule, and what you have decided, can be put back from here.</p>
    </Empty>
  );
}
