/** Movies: thousands of real, dirty records. Titles may be numbers and most fields may be null. */
import { useState } from "react";
import { useLiveQuery } from "tidewire/react";
import { db, type Movie } from "../data/db.ts";
import { isImporting, importJob } from "../import/job.ts";
import { importSampleData } from "../import/sample.ts";
import { formatNumber } from "../lib/format.ts";
import { hrefTo } from "../lib/route.ts";
import { useStore } from "../lib/store.ts";
import { FirstSync } from "../ui/first-sync.tsx";
import { Icon } from "../ui/icons.tsx";
import { ListPage, Pick, SearchBox } from "../ui/list-page.tsx";
import { SyncMark } from "../ui/marks.tsx";
import { Empty, Failure } from "../ui/states.tsx";
import { summarize, useSearch } from "../ui/use-search.ts";
import { VirtualList } from "../ui/virtual-list.tsx";
import { MovieDetail } from "./movie-detail.tsx";

const orders = [
  ["Title asc", "Title"],
  ["IMDB Rating desc", "Best rated"],
  ["IMDB Votes desc", "Most votes"],
  ["Worldwide Gross desc", "Highest gross"],
  ["$updatedAt desc", "Last changed"],
] as const;

const genres = [
  "Action",
  "Adventure",
  "Black Comedy",
  "Comedy",
  "Concert/Performance",
  "Documentary",
  "Drama",
  "Horror",
  "Musical",
  "Romantic Comedy",
  "Thriller/Suspense",
  "Western",
];
const filters = [["", "All genres"], ...genres.map((genre) => [genre, genre] as const), ["?", "No genre"]] as const;

type SortPath = "Title" | "IMDB Rating" | "IMDB Votes" | "Worldwide Gross" | "$updatedAt";

export function MoviesPage({ id }: { id: string | undefined }) {
  const [text, setText] = useState("");
  const [genre, setGenre] = useState("");
  const [order, setOrder] = useState<string>("Title asc");
  const space = order.lastIndexOf(" ");
  const path = order.slice(0, space) as SortPath;
  const direction = order.slice(space + 1) as "asc" | "desc";
  const wanted = genre === "" ? {} : { "Major Genre": genre === "?" ? null : genre };
  const { rows, status: loading } = useLiveQuery(db.movies.where(wanted).orderBy(path, direction));
  const shown = useSearch(rows, text, searchText);
  const busy = isImporting(useStore(importJob));

  return (
    <ListPage
      title="Movies"
      summary={loading === "loading" ? "Loading" : summarize(shown.length, rows.length, "movie")}
      actions={rows.length > 0 ? undefined : <SampleButton busy={busy} />}
      toolbar={
        <>
          <SearchBox label="Search movies" value={text} onChange={setText} />
          <Pick label="Genre" value={genre} options={filters} onChange={setGenre} testId="filter-genre" />
          <Pick label="Sort by" value={order} options={orders} onChange={setOrder} testId="sort" />
        </>
      }
      list={
        <MovieRows
          rows={shown}
          loading={loading}
          filtered={text !== "" || genre !== ""}
          id={id}
          resetKey={`${text}|${genre}|${order}`}
        />
      }
      detail={id ? <MovieDetail key={id} id={id} /> : undefined}
    />
  );
}

export function SampleButton({ busy }: { busy: boolean }) {
  return (
    <button
      type="button"
      className="button primary"
      data-testid="import-sample"
      disabled={busy}
      onClick={() => void importSampleData()}
    >
      <Icon name="import" /> Import sample data
    </button>
  );
}

interface RowsProps {
  rows: readonly Movie[];
  loading: string;
  filtered: boolean;
  id: string | undefined;
  resetKey: string;
}

function MovieRows({ rows, loading, filtered, id, resetKey }: RowsProps) {
  if (loading === "error")
    return (
      <Failure
        title="The movies cannot be read"
        text="This browser refused its own storage. Nothing was deleted."
      />
    );
  if (rows.length === 0 && (loading === "loading" || loading === "partial") && !filtered)
    return <FirstSync what="movies" status={loading} />;
  if (rows.length === 0) {
    return filtered ? (
      <Empty icon="search" title="No movie matches">
        Try fewer letters or another genre.
      </Empty>
    ) : (
      <Empty icon="movies" title="No movies yet">
        <p>Import 3,201 records of a public data set, nulls and odd titles included. It works offline too.</p>
      </Empty>
    );
  }
  return (
    <VirtualList rows={rows} rowHeight={68} label="Movies" testId="movie-list" selectedId={id} resetKey={resetKey}>
      {(row) => (
        <a
          className="row"
          href={hrefTo("movies", row.id)}
          data-testid="movie-row"
          data-id={row.id}
          aria-current={row.id === id ? "true" : undefined}
        >
          <span className="row-text">
            <strong>{movieTitle(row)}</strong>
            <small>
              {[row["Release Date"], row["Major Genre"], row["MPAA Rating"]].filter(Boolean).join(" · ")}
            </small>
          </span>
          <SyncMark status={row.$sync.status} />
          <span className="amount">{gross(row)}</span>
          <span className="rating">{row["IMDB Rating"] ?? "–"}</span>
        </a>
      )}
    </VirtualList>
  );
}

export function movieTitle(row: Movie): string {
  return row.Title === null || row.Title === undefined || row.Title === "" ? "(no title)" : String(row.Title);
}

function gross(row: Movie): string {
  const value = row["Worldwide Gross"];
  return typeof value === "number" && value > 0 ? `$${formatNumber(value)}` : "";
}

function searchText(row: Movie): string {
  return `${row.Title ?? ""} ${row.Director ?? ""} ${row["Release Date"] ?? ""}`;
}
