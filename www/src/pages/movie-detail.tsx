/** One movie: all sixteen fields, each kept in the kind that it has (a title that is a number stays one if it can). */
import { useEntity } from "tidewire/react";
import { db, type Movie } from "../data/db.ts";
import { removeWithUndo } from "../data/remove.ts";
import { movieFields, type MovieField } from "../data/schema.ts";
import { formatTime } from "../lib/format.ts";
import { Field } from "../ui/fields.tsx";
import { Icon } from "../ui/icons.tsx";
import { Panel } from "../ui/panel.tsx";
import { RowNote } from "../ui/row-note.tsx";
import { Empty, Loading } from "../ui/states.tsx";
import { movieTitle } from "./movies.tsx";

export function MovieDetail({ id }: { id: string }) {
  const { row, status } = useEntity(db.movies, id);
  if (!row) {
    return (
      <Panel page="movies" title="Movie">
        {status === "loading" || status === "partial" ? (
          <Loading what="the movie" />
        ) : (
          <Empty title="This movie is not here">It was deleted.</Empty>
        )}
      </Panel>
    );
  }
  return (
    <Panel
      page="movies"
      title={movieTitle(row)}
      sync={row.$sync.status}
      note={<RowNote sync={row.$sync} />}
      footer={
        <>
          <small>Changed {formatTime(row.$updatedAt)}</small>
          <button
            type="button"
            className="button danger"
            data-testid="delete"
            onClick={() => removeWithUndo("movies", movieTitle(row), () => db.movies.delete(row.id))}
          >
            <Icon name="trash" /> Delete
          </button>
        </>
      }
    >
      <div className="fields">
        {movieFields.map((name) => (
          <MovieFieldInput key={name} row={row} name={name} />
        ))}
      </div>
    </Panel>
  );
}

function MovieFieldInput({ row, name }: { row: Movie; name: MovieField }) {
  const value = row[name];
  const testName = name.toLowerCase().replaceAll(" ", "-");
  return (
    <Field
      label={name}
      name={testName}
      value={value === null || value === undefined ? "" : String(value)}
      placeholder={value === null ? "null" : ""}
      save={(text) => db.movies.update(row.id, { [name]: sameKind(text, value) })}
    />
  );
}

function sameKind(text: string, before: Movie[MovieField]): string | number | null {
  if (text.trim() === "") return null;
  const number = Number(text);
  const wasText = typeof before === "string";
  return !wasText && Number.isFinite(number) && String(number) === text.trim() ? number : text;
}
