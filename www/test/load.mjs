/** Loads a TypeScript module of the demo in Node, through Vite. */
import { fileURLToPath } from "node:url";
import { runnerImport } from "vite";

const root = fileURLToPath(new URL("..", import.meta.url));

export async function load(path) {
  const { module } = await runnerImport(`${root}${path}`, { root, configFile: false, logLevel: "error" });
  return module;
}
