/** A conflict that a rule or a person has settled: what stood against what, what stands now, and the way back. */
import type { KeyboardEvent } from "react";
import { fieldNow } from "../data/conflict-choices.ts";
import { conflictTitle, kindOf, writerWords, type Conflict, type ConflictField } from "../data/conflicts.ts";
import { decide, decisionOf, decisions, undo } from "../data/decisions.ts";
import { fieldLabel } from "../data/field-kinds.ts";
import { capital, formatTime } from "../lib/format.ts";
import { isTyping } from "../lib/keys.ts";
import { hrefTo, type PageName } from "../lib/route.ts";
import { useStore } from "../lib/store.ts";
import { showError } from "../lib/toasts.ts";
import { Panel } from "../ui/panel.tsx";
import { SendsLater } from "../ui/sends-later.tsx";
import { ValueView } from "../ui/value-view.tsx";

export function SettledConflict({ conflict }: { conflict: Conflict }) {
  const decision = decisionOf(conflict, useStore(decisions));
  const lost = conflict.state === "lost";
  // What is decided can be put back too, as long as something else stands.
  const deleted = conflict.mine === undefined;
  const canPutBack = !deleted && (lost || conflict.fields.some((field) => !stands(conflict, field)));

  function putBack(): void {
    putBackAll([conflict]).catch((error: unknown) => showError("This could not be put back.", error));
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (event.key !== "Enter" || !lost || isTyping(event)) return;
    if ((event.target as HTMLElement).closest("a, button")) return;
    event.preventDefault();
    putBack();
  }

  return (
    <div className="panel-keys" onKeyDown={onKeyDown}>
      <Panel
        page="settled"
        title={conflictTitle(conflict)}
        note={lost && <SendsLater what="What you put back" />}
        footer={
          <>
            <small>{lost ? `Overwritten ${formatTime(conflict.at)}` : `Decided ${formatTime(conflict.at)}`}</small>
            {decision && !lost && !deleted ? (
              <button type="button" className="button" data-testid="undo-decision" onClick={() => undo([decision])}>
                Undo
              </button>
            ) : (
              canPutBack && (
                <button
                  type="button"
                  className={lost ? "button primary" : "button"}
                  data-testid="restore"
                  onClick={putBack}
                >
                  Put mine back
                </button>
              )
            )}
          </>
        }
      >
        <p className="hint conflict-about">
          {capital(conflict.collection)} · {aboutWords(lost, deleted)}
          {!deleted && (
            <a href={hrefTo(conflict.collection as PageName, conflict.id)} data-testid="open-record">
              Open the record
            </a>
          )}
        </p>
        {conflict.fields.map((field) => (
          <SettledField key={field.conflict} conflict={conflict} field={field} />
        ))}
      </Panel>
    </div>
  );
}

function aboutWords(lost: boolean, deleted: boolean): string {
  if (deleted) return "The record was deleted. What was written can still be read here.";
  return lost ? "Your value was overwritten; nothing is lost." : "This is decided.";
}

/** Puts the values back that lost, together. */
export function putBackAll(lost: readonly Conflict[]): Promise<void> {
  const [first] = lost;
  const what = lost.length === 1 && first ? conflictTitle(first) : `${lost.length} records`;
  return decide(`Put back: ${what}`, lost, (conflict) => conflict.restore());
}

/** Whether this author's value is what the record has now. */
function stands({ mine: row }: Conflict, { path, mine }: ConflictField): boolean {
  return JSON.stringify(fieldNow(row, path)) === JSON.stringify(mine);
}

function SettledField({ conflict, field }: { conflict: Conflict; field: ConflictField }) {
  const kind = kindOf(conflict, field);
  const { path, base, mine, theirs } = field;
  const row = conflict.mine ?? conflict.theirs;
  return (
    <section className="conflict-field" aria-label={fieldLabel(path)} data-testid="settled-field" data-path={path}>
      <h2>{fieldLabel(path)}</h2>
      <div className="versions">
        <div className="version plain">
          <span className="version-head">Mine</span>
          <ValueView kind={kind} value={mine} against={base ?? theirs} />
          <small>You</small>
        </div>
        <div className="version plain">
          <span className="version-head">Theirs</span>
          <ValueView kind={kind} value={theirs} against={base ?? mine} />
          <small>{writerWords(field)}</small>
        </div>
        <div className="version plain" data-chosen data-testid="value-now">
          <span className="version-head">Now</span>
          {row ? (
            <ValueView kind={kind} value={fieldNow(row, path)} />
          ) : (
            <em className="no-value">The record was deleted</em>
          )}
        </div>
      </div>
    </section>
  );
}
