/** express-pouchdb, which speaks CouchDB's protocol, on PouchDB's adapter in memory. */
import { mkdtempSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { crossOrigin, listen } from "./shared.mjs";

const load = createRequire(import.meta.url);

const PouchDB = ["pouchdb-adapter-memory", "pouchdb-mapreduce", "pouchdb-replication"].reduce(
  (made, plugin) => made.plugin(load(plugin)),
  load("pouchdb-core"),
);

// One for the life of the process: each further one would list all databases anew, and their adapter keeps them anyway.
let app;
let databases = 0;

function theApp() {
  const logPath = path.join(mkdtempSync(path.join(os.tmpdir(), "tidewire-bench-pouchdb-")), "log.txt");
  const made = load("express")();
  made.use((request, response, next) => void (crossOrigin(request, response) || next()));
  const settings = { mode: "minimumForPouchDB", inMemoryConfig: true, logPath };
  made.use(load("express-pouchdb")(PouchDB.defaults({ adapter: "memory" }), settings));
  return made;
}

export async function serve() {
  app ??= theApp();
  databases += 1;
  const { port, close } = await listen(app);
  const url = `http://127.0.0.1:${port}/bench-${databases}`;
  await fetch(url, { method: "PUT" });
  return {
    options: { url },
    fill: async (docs) => {
      const body = JSON.stringify({ docs: docs.map((doc) => ({ _id: doc.id, ...doc })) });
      const headers = { "content-type": "application/json" };
      const answer = await fetch(`${url}/_bulk_docs`, { method: "POST", headers, body });
      if (!answer.ok) throw new Error(`_bulk_docs: ${answer.status}`);
      await answer.json();
    },
    close,
  };
}
