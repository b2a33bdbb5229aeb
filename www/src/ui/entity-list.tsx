/** The rows of a list page, each a link to its detail; or why there are none. */
import type { ReactNode } from "react";
import { hrefTo, type PageName } from "../lib/route.ts";
import { FirstSync } from "./first-sync.tsx";
import { ConflictLink } from "./conflict-link.tsx";
import type { RowSync } from "./marks.tsx";
import { Empty, Failure } from "./states.tsx";
import { VirtualList } from "./virtual-list.tsx";

interface Props<T> {
  page: PageName;
  /** One of them, in small letters; the test ids begin with it. */
  what: string;
  rows: readonly T[];
  loading: string;
  filtered: boolean;
  id: string | undefined;
  resetKey: string;
  /** What to do when nothing is there yet. */
  empty: ReactNode;
  /** Offered on a device that has not seen the server yet. */
  start?: ReactNode;
  /** What to try when the filter matches nothing. */
  advice: string;
  children(row: T): ReactNode;
}

interface ListRow {
  readonly id: string;
  readonly $sync: { readonly status: RowSync };
}

export function EntityList<T extends ListRow>(props: Props<T>) {
  const { page, what, rows, loading, filtered, id, resetKey, empty, start, advice, children } = props;
  if (loading === "error") {
    const text = "This browser refused its own storage. Nothing was deleted.";
    return <Failure title={`The ${what}s cannot be read`} text={text} />;
  }
  if (rows.length === 0 && filtered)
    return (
      <Empty icon="search" title={`No ${what} matches`}>
        {advice}
      </Empty>
    );
  if (rows.length === 0 && loading !== "complete")
    return (
      <FirstSync what={`${what}s`} status={loading}>
        {start}
      </FirstSync>
    );
  if (rows.length === 0) return empty;
  const label = page[0]?.toUpperCase() + page.slice(1);
  return (
    <VirtualList
      rows={rows}
      rowHeight={68}
      label={label}
      testId={`${what}-list`}
      selectedId={id}
      resetKey={resetKey}
    >
      {(row) => (
        <div className="row-line">
          <a
            className="row"
            href={hrefTo(page, row.id)}
            data-testid={`${what}-row`}
            data-id={row.id}
            aria-current={row.id === id ? "true" : undefined}
          >
            {children(row)}
          </a>
          {row.$sync.status === "conflict" && <ConflictLink collection={page} id={row.id} />}
        </div>
      )}
    </VirtualList>
  );
}
