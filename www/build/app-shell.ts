/**
 * Writes `sw.js` with the list of everything the build made, so that the demo opens without a network.
 * The version is a hash of that list and its contents: an unchanged build gives an unchanged worker.
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Plugin, ResolvedConfig } from "vite";

/** The wasm module as text, for bundlers that lose the file: this build has the file. */
const fallback = /wasm-inline/;
const template = fileURLToPath(new URL("./service-worker.js", import.meta.url));

export function appShell(): Plugin {
  let config: ResolvedConfig;
  return {
    name: "tidewire-app-shell",
    apply: "build",
    configResolved(resolved) {
      config = resolved;
    },
    async generateBundle(_options, bundle) {
      const hash = createHash("sha256");
      const files = new Set<string>();
      for (const [name, output] of Object.entries(bundle)) {
        if (name.endsWith(".map") || fallback.test(name)) continue;
        files.add(name);
        hash.update(name).update(output.type === "chunk" ? output.code : output.source);
      }
      for (const name of config.publicDir ? await readdir(config.publicDir) : []) {
        files.add(name);
        hash.update(name).update(await readFile(join(config.publicDir, name)));
      }
      files.delete("index.html");
      const list = ["./", ...[...files].sort()];
      const version = hash.digest("hex").slice(0, 16);
      const source = (await readFile(template, "utf8"))
        .replace('"__VERSION__"', JSON.stringify(version))
        .replace('["__FILES__"]', JSON.stringify(list));
      this.emitFile({ type: "asset", fileName: "sw.js", source });
    },
  };
}
