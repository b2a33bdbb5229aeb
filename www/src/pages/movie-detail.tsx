/** One movie: all sixteen fields, each kept in the kind that it has (a title that is a number stays one if it can). */
import { useEntity } from "tidewire/react";
import { db, type Movie } from "../data/db.ts";
import { movieFields, type MovieField } from "../data/schema.ts";
import { EntityPanel, MissingPanel } from "../ui/entity-panel.tsx";
import { Field } from "../ui/fields.tsx";
import { movieTitle } from "./movies.tsx";

export function MovieDetail({ id }: { id: string }) {
  const { row, status } = useEntity(db.movies, id);
  if (!row) return <MissingPanel page="movies" what="movie" status={status} />;
  return (
    <EntityPanel page="movies" row={row} title={movieTitle(row)} remove={() => db.movies.delete(row.id)}>
      <div className="fields">
        {movieFields.map((name) => (
          <MovieFieldInput key={name} row={row} name={name} />
        ))}
      </div>
    </EntityPanel>
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
