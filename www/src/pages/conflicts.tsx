/** The conflict inbox: what waits for a decision, and what a rule or a person has settled. */
import { useEffect, useRef, useState, type FocusEvent, type KeyboardEvent } from "react";
import { conflictTitle, isChoosable, useConflicts, type Conflict, type Part } from "../data/conflicts.ts";
import { decide, undoLast, type Decision } from "../data/decisions.ts";
import { count, formatNumber } from "../lib/format.ts";
import { isTyping, isUndo, plainKey } from "../lib/keys.ts";
import { goTo, hrefTo, type PageName } from "../lib/route.ts";
import { showError } from "../lib/toasts.ts";
import { ConflictList } from "../ui/conflict-list.tsx";
import { Panel } from "../ui/panel.tsx";
import { Empty, Loading } from "../ui/states.tsx";
import { OpenConflict } from "./open-conflict.tsx";
import { putBackAll, SettledConflict } from "./settled-conflict.tsx";
import { SyncTabs } from "./sync-tabs.tsx";

interface Props {
  part: Part;
  /** The key of the conflict that is open. */
  id: string | undefined;
}

export function ConflictsPage({ part, id }: Props) {
  const waiting = useConflicts("waiting");
  const settled = useConflicts("settled");
  const items = part === "waiting" ? waiting : settled;
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const box = useRef<HTMLDivElement>(null);
  const page: PageName = part === "waiting" ? "conflicts" : "settled";
  useEffect(() => setSelected(new Set()), [part]);
  useFocusOnReturn(box, id);
  const keepFocus = useKeptFocus(box, items);

  const chosen = items?.filter((one) => selected.has(one.key) && isChoosable(one)) ?? [];

  function settle(how: "mine" | "theirs" | "back"): void {
    if (chosen.length === 0) return;
    setSelected(new Set());
    settleAll(chosen, how).catch((error: unknown) => showError("This could not be kept.", error));
  }

  function toggle(key: string): void {
    if (!items?.some((conflict) => conflict.key === key && isChoosable(conflict))) return;
    setSelected((now) => {
      const next = new Set(now);
      if (!next.delete(key)) next.add(key);
      return next;
    });
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (isTyping(event) || event.defaultPrevented) return;
    const key = plainKey(event);
    const row = (event.target as HTMLElement).closest("li")?.querySelector<HTMLElement>("[data-id]");
    if (isUndo(event)) leadBack(undoLast());
    else if (key === "x" && row?.dataset["id"]) toggle(row.dataset["id"]);
    else if (part === "waiting" && (key === "m" || key === "t")) settle(key === "m" ? "mine" : "theirs");
    else return;
    event.preventDefault();
  }

  return (
    <div className="conflicts" ref={box} tabIndex={-1} onKeyDown={onKeyDown} {...keepFocus}>
      <div className="list-page" data-detail={id ? true : undefined}>
        <section className="list-side" aria-label="Conflicts">
          <Head part={part} page={page} waiting={waiting?.length} settled={settled?.length} beside={id !== undefined} />
          <ConflictList
            part={part}
            items={items}
            id={id}
            selected={selected}
            onToggle={toggle}
            onSelect={(keys) => setSelected(new Set(keys))}
            onSettle={settle}
          />
        </section>
        {id && <Detail key={id} part={part} page={page} id={id} items={items} />}
      </div>
    </div>
  );
}

interface HeadProps {
  part: Part;
  page: PageName;
  waiting: number | undefined;
  settled: number | undefined;
  /** Beside a conflict that is open: that one is the main heading. */
  beside: boolean;
}

function Head({ part, page, waiting, settled, beside }: HeadProps) {
  const Heading = beside ? "h2" : "h1";
  const parts = [
    { name: "conflicts", label: "Waiting for you", number: waiting },
    { name: "settled", label: "Settled", number: settled },
  ] as const;
  return (
    <>
      <header className="page-head">
        <div>
          <Heading className="page-title">Sync</Heading>
          <p className="page-summary" data-testid="conflict-summary" aria-live="polite">
            {summaryOf(part, part === "waiting" ? waiting : settled)}
          </p>
        </div>
        <SyncTabs page="conflicts" />
      </header>
      <nav className="parts" aria-label="Conflicts">
        {parts.map(({ name, label, number }) => (
          <a
            key={name}
            href={hrefTo(name)}
            aria-current={page === name ? "page" : undefined}
            data-testid={`part-${name}`}
          >
            {label}
            {number !== undefined && number > 0 && <span className="part-count">{formatNumber(number)}</span>}
          </a>
        ))}
      </nav>
    </>
  );
}

function summaryOf(part: Part, number: number | undefined): string {
  if (number === undefined) return "Loading";
  if (part === "settled") return number === 0 ? "None settled yet" : `${formatNumber(number)} settled`;
  return number === 0 ? "Nothing waits for you" : `${count(number, "conflict")} ${number === 1 ? "waits" : "wait"}`;
}

interface DetailProps {
  part: Part;
  page: PageName;
  id: string;
  items: readonly Conflict[] | undefined;
}

function Detail({ part, page, id, items }: DetailProps) {
  const found = items?.find(({ key }) => key === id);
  const [deciding, setDeciding] = useState<Conflict | undefined>(undefined);
  // A decision takes the conflict out of the list at once; it stays on screen until the next one takes its place.
  const conflict = deciding ?? found;

  async function whileDeciding(decision: Promise<void>): Promise<void> {
    const next = found && nextOf(items ?? [], found);
    setDeciding(found);
    try {
      await decision;
      goTo(page, next?.key);
    } catch (error) {
      setDeciding(undefined);
      throw error;
    }
  }

  if (conflict && part === "waiting") return <OpenConflict conflict={conflict} whileDeciding={whileDeciding} />;
  if (conflict) return <SettledConflict conflict={conflict} />;
  return (
    <Panel page={page} title="Conflict">
      {items ? (
        <Empty icon="check" title="This is settled" testId="conflict-gone">
          <p>It was decided on this device or on another one of yours, or its record was deleted.</p>
          <a className="button" href={hrefTo(part === "waiting" ? "settled" : "conflicts")}>
            {part === "waiting" ? "See what was settled" : "See what waits"}
          </a>
        </Empty>
      ) : (
        <Loading what="the conflict" />
      )}
    </Panel>
  );
}

function nextOf(items: readonly Conflict[], decided: Conflict): Conflict | undefined {
  const rest = items.filter(({ key }) => key !== decided.key);
  return rest[items.indexOf(decided)] ?? rest.at(-1);
}

function settleAll(chosen: readonly Conflict[], how: "mine" | "theirs" | "back"): Promise<void> {
  if (how === "back") return putBackAll(chosen);
  const [first] = chosen;
  const what = chosen.length === 1 && first ? conflictTitle(first) : count(chosen.length, "record");
  return decide(`Kept ${how}: ${what}`, chosen, (conflict) => conflict.keep(how), { undone: () => goTo("conflicts") });
}

/** After an undo: to the conflict that is open again. */
function leadBack(undone: readonly Decision[]): void {
  const [first] = undone;
  if (first?.conflict.state === "open") goTo("conflicts", undone.length === 1 ? first.conflict.key : undefined);
}

/** Closing a detail leads back to its row, or to the list when the row is gone. */
function useFocusOnReturn(box: React.RefObject<HTMLDivElement | null>, id: string | undefined): void {
  const last = useRef(id);
  useEffect(() => {
    const before = last.current;
    last.current = id;
    if (id === undefined && before !== undefined) focusRow(box.current, before);
  }, [box, id]);
}

/** What was decided leaves the list: whoever had the focus on it goes on with the first row. */
function useKeptFocus(box: React.RefObject<HTMLDivElement | null>, items: unknown) {
  const had = useRef(false);
  useEffect(() => {
    if (had.current && document.activeElement === document.body) focusRow(box.current);
  }, [box, items]);
  return {
    onFocus: () => void (had.current = true),
    onBlur: ({ relatedTarget }: FocusEvent<HTMLElement>) => {
      if (relatedTarget && !box.current?.contains(relatedTarget)) had.current = false;
    },
  };
}

function focusRow(box: HTMLElement | null, id?: string): void {
  const row = id && box?.querySelector<HTMLElement>(`[data-id="${CSS.escape(id)}"]`);
  (row || box?.querySelector<HTMLElement>(".row") || box)?.focus();
}
