/** Records: the rows of any imported file, as they were. */
import { useState } from "react";
import { useEntity, useLiveQuery } from "tidewire/react";
import { db, type ImportedRecord } from "../data/db.ts";
import { removeWithUndo } from "../data/remove.ts";
import { formatNumber } from "../lib/format.ts";
import { hrefTo } from "../lib/route.ts";
import { FirstSync } from "../ui/first-sync.tsx";
import { Icon } from "../ui/icons.tsx";
import { ListPage, Pick, SearchBox } from "../ui/list-page.tsx";
import { SyncMark } from "../ui/marks.tsx";
import { Panel } from "../ui/panel.tsx";
import { RowNote } from "../ui/row-note.tsx";
import { Empty, Failure, Loading } from "../ui/states.tsx";
import { summarize, useSearch } from "../ui/use-search.ts";
import { VirtualList } from "../ui/virtual-list.tsx";

const orders = [
  ["n asc", "Place in the file"],
  ["source asc", "File"],
  ["$updatedAt desc", "Last changed"],
] as const;

export function RecordsPage({ id }: { id: string | undefined }) {
  const [text, setText] = useState("");
  const [order, setOrder] = useState<string>("n asc");
  const [path, direction] = order.split(" ") as ["n" | "source" | "$updatedAt", "asc" | "desc"];
  const { rows, status: loading } = useLiveQuery(db.records.where({}).orderBy(path, direction));
  const shown = useSearch(rows, text, searchText);
  return (
    <ListPage
      title="Records"
      summary={loading === "loading" ? "Loading" : summarize(shown.length, rows.length, "record")}
      actions={
        <a className="button" href={hrefTo("import")}>
          <Icon name="import" /> Import
        </a>
      }
      toolbar={
        <>
          <SearchBox label="Search records" value={text} onChange={setText} />
          <Pick label="Sort by" value={order} options={orders} onChange={setOrder} testId="sort" />
        </>
      }
      list={
        <RecordRows rows={shown} loading={loading} filtered={text !== ""} id={id} resetKey={`${text}|${order}`} />
      }
      detail={id ? <RecordDetail key={id} id={id} /> : undefined}
    />
  );
}

interface RowsProps {
  rows: readonly ImportedRecord[];
  loading: string;
  filtered: boolean;
  id: string | undefined;
  resetKey: string;
}

function RecordRows({ rows, loading, filtered, id, resetKey }: RowsProps) {
  if (loading === "error")
    return (
      <Failure
        title="The records cannot be read"
        text="This browser refused its own storage. Nothing was deleted."
      />
    );
  if (rows.length === 0 && (loading === "loading" || loading === "partial") && !filtered)
    return <FirstSync what="records" status={loading} />;
  if (rows.length === 0) {
    return filtered ? (
      <Empty icon="search" title="No record matches">
        Try fewer letters.
      </Empty>
    ) : (
      <Empty icon="records" title="No records yet">
        <p>Import a JSON or CSV file: its rows appear here as they are.</p>
        <a className="button primary" href={hrefTo("import")}>
          Import a file
        </a>
      </Empty>
    );
  }
  return (
    <VirtualList
      rows={rows}
      rowHeight={68}
      label="Records"
      testId="record-list"
      selectedId={id}
      resetKey={resetKey}
    >
      {(row) => (
        <a
          className="row"
          href={hrefTo("records", row.id)}
          data-testid="record-row"
          data-id={row.id}
          aria-current={row.id === id ? "true" : undefined}
        >
          <span className="row-number">{formatNumber(row.n)}</span>
          <span className="row-text">
            <strong>{preview(row)}</strong>
            <small>{row.source}</small>
          </span>
          <SyncMark status={row.$sync.status} />
        </a>
      )}
    </VirtualList>
  );
}

function RecordDetail({ id }: { id: string }) {
  const { row, status } = useEntity(db.records, id);
  const title = row ? `Row ${formatNumber(row.n)}` : "Record";
  return (
    <Panel
      page="records"
      title={title}
      sync={row?.$sync.status}
      note={row && <RowNote sync={row.$sync} />}
      footer={
        row && (
          <>
            <small>{row.source}</small>
            <button
              type="button"
              className="button danger"
              data-testid="delete"
              onClick={() => removeWithUndo("records", title, () => db.records.delete(row.id))}
            >
              <Icon name="trash" /> Delete
            </button>
          </>
        )
      }
    >
      {row && (
        <pre className="json" tabIndex={0} aria-label="Content as JSON">
          {JSON.stringify(row.data, null, 2)}
        </pre>
      )}
      {!row &&
        (status === "loading" || status === "partial" ? (
          <Loading what="the record" />
        ) : (
          <Empty title="This record is not here">It was deleted.</Empty>
        ))}
    </Panel>
  );
}

function preview(row: ImportedRecord): string {
  const cells = Object.values(row.data).filter((value) => value !== null && value !== "");
  return (
    cells
      .slice(0, 4)
      .map((value) => (typeof value === "object" ? JSON.stringify(value) : String(value)))
      .join(" · ") || "(empty row)"
  );
}

function searchText(row: ImportedRecord): string {
  return `${row.source} ${Object.values(row.data)
    .map((value) => (typeof value === "object" ? JSON.stringify(value) : String(value)))
    .join(" ")}`;
}
