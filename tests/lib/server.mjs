/** A real server process with a data directory of its own, and a plain reader of what it holds. */
import { execFile } from "node:child_process";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import { start } from "./processes.mjs";

/**
 * Starts it. `config` is TOML text; `files` a directory that it serves.
 *
 * @param {{ config?: string, files?: string }} [options]
 */
export async function startServer({ config = "", files } = {}) {
  const directory = await mkdtemp(path.join(os.tmpdir(), "tidewire-server-"));
  const server = new Server(directory, files);
  if (config) {
    server.configFile = path.join(directory, "tidewire.toml");
    await writeFile(server.configFile, config);
  }
  await server.start();
  return server;
}

class Server {
  log = [];
  /** @type {string | undefined} */
  configFile;
  #directory;
  #files;
  #process;

  constructor(directory, files) {
    this.#directory = directory;
    this.#files = files;
  }

  async start() {
    const program = process.env.TIDEWIRE_SERVER;
    if (!program)
      throw new Error("TIDEWIRE_SERVER must name the server binary: run the tests with `npm test -w tidewire-tests`");
    const args = ["--dev", "--port", "0", "--data", path.join(this.#directory, "data")];
    if (this.#files) args.push("--static", this.#files);
    if (this.configFile) args.push("--config", this.configFile);
    const ready = (line) => /listening on (http:\/\/\S+)/.exec(line)?.[1];
    this.#process = await start(program, args, { ready, name: "tidewire-server", env: { NO_COLOR: "1" } });
    this.url = this.#process.answer.replace(/\/$/, "");
    this.port = Number(new URL(this.url).port);
  }

  /** Everything it said, over its restarts. */
  get output() {
    return [...this.log, ...this.#process.lines];
  }

  /** As a power cut would: no goodbye. */
  async kill() {
    await this.#process.stop("SIGKILL");
    this.log = this.output;
  }

  /** Stands still, with every connection, until `goOn`. */
  pause() {
    process.kill(this.#process.pid, "SIGSTOP");
  }

  goOn() {
    process.kill(this.#process.pid, "SIGCONT");
  }

  /** Stops, copies the database, goes on. Returns what `restore` takes. */
  async backup() {
    await this.#process.stop("SIGTERM");
    this.log = this.output;
    const backup = path.join(this.#directory, `backup-${this.log.length}`);
    await cp(path.join(this.#directory, "data"), backup, { recursive: true });
    await this.start();
    return path.join(backup, "tidewire.sqlite");
  }

  /** Dies, and comes back from a backup as the operator's page says. */
  async restore(backup) {
    await this.kill();
    const program = process.env.TIDEWIRE_SERVER ?? "";
    await promisify(execFile)(program, ["restore", backup, "--data", path.join(this.#directory, "data")]);
    await this.start();
  }

  /** Whether a word stands in any file of its data. */
  async holds(word) {
    const entries = await readdir(this.#directory, { recursive: true, withFileTypes: true });
    for (const entry of entries.filter((entry) => entry.isFile())) {
      const bytes = await readFile(path.join(entry.parentPath, entry.name)).catch(() => Buffer.alloc(0));
      if (bytes.includes(word)) return true;
    }
    return false;
  }

  /** Ends it and throws its data away. */
  async close() {
    await this.#process.stop("SIGTERM");
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** A demo token for this user. */
  async token(user, tenant, ttlSeconds) {
    const answer = await fetch(`${this.url}/api/dev/token`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ user, tenant, ttlSeconds }),
    });
    if (!answer.ok) throw new Error(`dev token: ${answer.status} ${await answer.text()}`);
    return (await answer.json()).token;
  }

  /** What it holds for this user: a map from id to `{ ...document, $rev }`, deleted entities left out. */
  async rows(collection, { user = "reader", tenant }) {
    const changes = await this.changes([collection], { user, tenant });
    const live = changes.filter((change) => change.doc !== undefined && change.doc !== null);
    return new Map(live.map((change) => [change.id, { ...change.doc, $rev: change.rev }]));
  }

  /** The changes of a first pull, tombstones included. */
  async changes(collections, { user = "reader", tenant }) {
    const answer = await fetch(`${this.url}/api/sync/pull`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${await this.token(user, tenant)}` },
      body: JSON.stringify({
        v: 1,
        replica: `reader_${Math.random().toString(36).slice(2)}`,
        collections,
        now: Date.now(),
      }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`pull: ${answer.status} ${text}`);
    const lines = text
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    if (!lines.at(-1)?.done)
      throw new Error(`a pull must end with a checkpoint that says done: ${JSON.stringify(lines.at(-1))}`);
    return lines.filter((line) => line.c !== undefined);
  }
}
