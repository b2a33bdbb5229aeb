/** The sample data: `movies.json` of the npm package `vega-datasets`, 3,201 records as dirty as the world made them. */
import moviesUrl from "sample-data/movies.json?url";
import { db } from "../data/db.ts";
import { goTo } from "../lib/route.ts";
import { isImporting, runImport } from "./job.ts";
import { parseJson, UnreadableFile } from "./parse.ts";

export async function importSampleData(): Promise<void> {
  await runImport("movies.json (vega-datasets)", readSample, "movies");
}

/** `#seed` in the address imports once: a device that has movies already is left as it is. */
export async function seedIfAsked(): Promise<void> {
  if (location.hash !== "#seed" || isImporting()) return;
  goTo("movies");
  const already = await db.movies.where({}).limit(1).get();
  if (already.length === 0) await importSampleData();
}

async function readSample() {
  const response = await fetch(moviesUrl).catch(() => undefined);
  if (!response?.ok) {
    throw new UnreadableFile(
      "The sample file could not be loaded. Open this page once with a network, then try again.",
    );
  }
  return parseJson(await response.text());
}
