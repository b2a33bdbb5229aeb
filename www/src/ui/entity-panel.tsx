/** The detail of one entity: its state of sync above, when it changed and how to delete it below. */
import type { ReactNode } from "react";
import type { Write } from "tidewire";
import { removeWithUndo } from "../data/remove.ts";
import type { CollectionName } from "../data/schema.ts";
import { formatTime } from "../lib/format.ts";
import type { PageName } from "../lib/route.ts";
import { ConflictHistory } from "./conflict-history.tsx";
import { Icon } from "./icons.tsx";
import type { RowSync } from "./marks.tsx";
import { Panel } from "./panel.tsx";
import { RowNote } from "./row-note.tsx";
import { Empty, Loading } from "./states.tsx";

interface Row {
  readonly id: string;
  readonly $updatedAt: number;
  readonly $sync: { readonly status: RowSync; readonly error?: { readonly message: string } };
}

interface Props {
  page: CollectionName;
  row: Row;
  title: string;
  remove(): Write;
  /** Where it is from, in place of when it changed. */
  source?: string;
  children: ReactNode;
}

export function EntityPanel({ page, row, title, remove, source, children }: Props) {
  return (
    <Panel
      page={page}
      title={title}
      sync={row.$sync.status}
      note={<RowNote collection={page} id={row.id} sync={row.$sync} />}
      footer={
        <>
          <small>{source ?? `Changed ${formatTime(row.$updatedAt)}`}</small>
          <button
            type="button"
            className="button danger"
            data-testid="delete"
            onClick={() => removeWithUndo(page, title, remove)}
          >
            <Icon name="trash" /> Delete
          </button>
        </>
      }
    >
      {children}
      <ConflictHistory collection={page} id={row.id} />
    </Panel>
  );
}

/** What stands there while the entity is not known, or does not exist. `what`: its kind, in small letters. */
export function MissingPanel({ page, what, status }: { page: PageName; what: string; status: string }) {
  return (
    <Panel page={page} title={what[0]?.toUpperCase() + what.slice(1)}>
      {status === "loading" || status === "partial" ? (
        <Loading what={`the ${what}`} />
      ) : (
        <Empty title={`This ${what} is not here`}>It was deleted, or it belongs to somebody else.</Empty>
      )}
    </Panel>
  );
}
