/** Movies: thousands of real, dirty records. Titles may be numbers and most fields may be null. */
import { useState } from "react";
import { useLiveQuery } from "tidewire/react";
import { db, type Movie } from "../data/db.ts";
import { isImporting, importJob } from "../import/job.ts";
import { importSampleData } from "../import/sample.ts";
import { formatNumber } from "../lib/format.ts";
import { useStore } from "../lib/store.ts";
import { EntityList } from "../ui/entity-list.tsx";
import { Icon } from "../ui/icons.tsx";
import { ListPage, Pick, SearchBox } from "../ui/list-page.tsx";
import { SyncMark } from "../ui/marks.tsx";
import { Empty } from "../ui/states.tsx";
import { summarize, useSearch } from "../ui/use-search.ts";
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
        <EntityList
          page="movies"
          what="movie"
          rows={shown}
          loading={loading}
          filtered={text !== "" || genre !== ""}
          id={id}
          resetKey={`${text}|${genre}|${order}`}
          empty={<NoMovies />}
          advice="Try fewer letters or another genre."
        >
          {(row) => <MovieRow row={row} />}
        </EntityList>
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

function NoMovies() {
  return (
    <Empty icon="movies" title="No movies yet">
      <p>Import 3,201 records of a public data set, nulls and odd titles included. It works offline too.</p>
    </Empty>
  );
}

function MovieRow({ row }: { row: Movie }) {
  return (
    <>
      <span className="row-text">
        <strong>{movieTitle(row)}</strong>
        <small>{[row["Release Date"], row["Major Genre"], row["MPAA Rating"]].filter(Boolean).join(" · ")}</small>
      </span>
      <SyncMark status={row.$sync.status} />
      <span className="amount">{gross(row)}</span>
      <span className="rating">{row["IMDB Rating"] ?? "–"}</span>
    </>
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
