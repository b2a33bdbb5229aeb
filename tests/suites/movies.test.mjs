/** Real, dirty data: 3,201 films with nulls, unicode, mixed types and fields with spaces, through the offline queue. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { describe } from "node:test";

import { canonical } from "../lib/device.mjs";
import { plain } from "../lib/journey.mjs";
import { scenario, useStack } from "../lib/stack.mjs";

const MOVIES = path.resolve(createRequire(import.meta.url).resolve("vega-datasets"), "../../data/movies.json");

describe("3,201 films imported offline", () => {
  const stack = useStack();

  scenario(
    stack,
    "are the same, record by record, after a reload, on the server and in a second browser",
    async (world) => {
      const movies = JSON.parse(await readFile(MOVIES, "utf8")).map((movie, i) => ({ id: `movie-${i}`, ...movie }));
      assert.equal(movies.length, 3_201);
      const device = await world.device({ collections: { movies: {} }, line: (proxy) => proxy.refuse() });
      await device.run(async (rows) => void (await window.tw.db.movies.insertMany(rows)), movies);
      const waiting = await device.run(() => window.tw.db.sync.status.peek().pending);
      assert.equal(waiting, 3_201);
      await device.reload();
      same(await device.rows("movies"), movies, "in the browser after a reload");
      device.online();
      await device.synced();
      same(plain(await world.rows("movies")), movies, "on the server");
      const second = await world.device({ user: "bob", collections: { movies: {} } });
      await second.until(
        "all are pulled",
        async () => (await window.tw.db.movies.where({}).count().get()) === 3_201,
      );
      same(await second.rows("movies"), movies, "in the second browser");
    },
  );
});

/** Compares record by record, so that a failure names the record. */
function same(rows, expected, where) {
  const byId = new Map(rows.map((row) => [row.id, row]));
  assert.equal(byId.size, expected.length, where);
  for (const movie of expected)
    assert.equal(canonical([byId.get(movie.id)]), canonical([movie]), `${where}: ${movie.id}`);
}
