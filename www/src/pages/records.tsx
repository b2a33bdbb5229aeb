/** Records: the rows of any imported file, as they were. */
import { useState } from "react";
import { useEntity, useLiveQuery } from "tidewire/react";
import { db, type ImportedRecord } from "../data/db.ts";
import { formatNumber } from "../lib/format.ts";
import { hrefTo } from "../lib/route.ts";
import { EntityList } from "../ui/entity-list.tsx";
import { EntityPanel, MissingPanel } from "../ui/entity-panel.tsx";
import { Icon } from "../ui/icons.tsx";
import { ListPage, Pick, SearchBox } from "../ui/list-page.tsx";
import { SyncMark } from "../ui/marks.tsx";
import { Empty } from "../ui/states.tsx";
import { summarize, useSearch } from "../ui/use-search.ts";

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
        <EntityList
          page="records"
          what="record"
          rows={shown}
          loading={loading}
          filtered={text !== ""}
          id={id}
          resetKey={`${text}|${order}`}
          empty={<NoRecords />}
          advice="Try fewer letters."
        >
          {(row) => <RecordRow row={row} />}
        </EntityList>
      }
      detail={id ? <RecordDetail key={id} id={id} /> : undefined}
    />
  );
}

function NoRecords() {
  return (
    <Empty icon="records" title="No records yet">
      <p>Import a JSON or CSV file: its rows appear here as they are.</p>
      <a className="button primary" href={hrefTo("import")}>
        Import a file
      </a>
    </Empty>
  );
}

function RecordRow({ row }: { row: ImportedRecord }) {
  return (
    <>
      <span className="row-number">{formatNumber(row.n)}</span>
      <span className="row-text">
        <strong>{preview(row)}</strong>
        <small>{row.source}</small>
      </span>
      <SyncMark status={row.$sync.status} />
    </>
  );
}

function RecordDetail({ id }: { id: string }) {
  const { row, status } = useEntity(db.records, id);
  if (!row) return <MissingPanel page="records" what="record" status={status} />;
  return (
    <EntityPanel
      page="records"
      row={row}
      title={`Row ${formatNumber(row.n)}`}
      remove={() => db.records.delete(row.id)}
      source={row.source}
    >
      <pre className="json" tabIndex={0} aria-label="Content as JSON">
        {JSON.stringify(row.data, null, 2)}
      </pre>
    </EntityPanel>
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
