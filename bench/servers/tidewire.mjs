/** Tidewire's own server: the release binary, with its database on the disk. TIDEWIRE_SERVER names another one. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parts } from "../../scripts/lib/parts.mjs";
import { start } from "../../tests/lib/processes.mjs";

/** Mutations in one push of `fill`. */
const PUSH = 500;

export async function serve({ origins }) {
  const directory = await mkdtemp(path.join(os.tmpdir(), "tidewire-bench-server-"));
  const config = path.join(directory, "tidewire.toml");
  await writeFile(config, `[server]\norigins = ${JSON.stringify(origins)}\n`);
  const program = process.env.TIDEWIRE_SERVER ?? parts.server.outputs[0];
  const args = ["--dev", "--port", "0", "--data", path.join(directory, "data"), "--config", config];
  const ready = (line) => /listening on (http:\/\/\S+)/.exec(line)?.[1];
  const child = await start(program, args, { ready, name: "tidewire-server", env: { NO_COLOR: "1" } });
  const url = child.answer.replace(/\/$/, "");
  const token = await tokenOf(url);
  return {
    options: { url, token },
    fill: (docs) => fill(url, token, docs),
    close: async () => {
      await child.stop("SIGTERM");
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function tokenOf(url) {
  const body = JSON.stringify({ user: "bench", tenant: "bench" });
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${url}/api/dev/token`, { method: "POST", headers, body });
  if (!answer.ok) throw new Error(`dev token: ${answer.status} ${await answer.text()}`);
  return (await answer.json()).token;
}

/** Pushes documents as a device of its own would. */
async function fill(url, token, docs) {
  const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
  const as = { tenant: "bench", subject: "bench" };
  for (let from = 0; from < docs.length; from += PUSH) {
    const now = Date.now();
    const mutations = docs.slice(from, from + PUSH).map(({ id, ...fields }, at) => {
      const set = Object.fromEntries(Object.entries(fields).map(([name, value]) => [`/${name}`, value]));
      return {
        n: [from + 1, at],
        m: { c: "orders", id, kind: "insert", base: 0, set, at: [now, at], synced_clock: true },
      };
    });
    const push = { v: 1, replica: "bench-fill", as, fence: 1, floor: [from + 1, 0], now, mutations };
    const answer = await fetch(`${url}/api/sync/push`, { method: "POST", headers, body: JSON.stringify(push) });
    const text = await answer.text();
    const wrong = answer.ok && JSON.parse(text).verdicts.find(({ verdict }) => verdict !== "applied");
    if (!answer.ok || wrong) throw new Error(`push: ${answer.status} ${wrong ? JSON.stringify(wrong) : text}`);
  }
}
