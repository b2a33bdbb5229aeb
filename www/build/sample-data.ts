/**
 * Makes `sample-data/movies.json` importable: the file of the npm package `vega-datasets` as published.
 * The package's `exports` name its code only, so the file is found beside that code.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Plugin } from "vite";

const prefix = "sample-data/";

export function sampleData(): Plugin {
  const code = createRequire(import.meta.url).resolve("vega-datasets");
  const directory = join(dirname(code), "..", "data");
  return {
    name: "tidewire-sample-data",
    enforce: "pre",
    resolveId(id) {
      return id.startsWith(prefix) ? join(directory, id.slice(prefix.length)) : null;
    },
  };
}
