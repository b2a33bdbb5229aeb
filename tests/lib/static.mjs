/** A plain file server on a port of its own, as an app's host would be: calls to the sync server cross origins. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import http from "node:http";
import path from "node:path";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".webmanifest": "application/manifest+json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".wasm": "application/wasm",
};

/** `faults.before` is asked, and waited for, before each answer; a status that it gives is the whole answer. */
export async function serveFiles(root) {
  const faults = { before: /** @type {(name: string) => unknown} */ (() => undefined) };
  const server = http.createServer((request, response) => void send(root, faults, request, response));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  const close = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  return { url: `http://localhost:${port}`, faults, close };
}

async function send(root, faults, request, response) {
  const name = decodeURIComponent(new URL(request.url, "http://files").pathname);
  const status = await faults.before(name);
  if (typeof status === "number") return void response.writeHead(status).end();
  const file = path.join(root, name.endsWith("/") ? `${name}index.html` : name);
  const found = file.startsWith(root) && (await stat(file).catch(() => undefined))?.isFile();
  if (!found) return void response.writeHead(404, { "content-type": "text/plain" }).end("not found\n");
  response.writeHead(200, {
    "content-type": TYPES[path.extname(file)] ?? "application/octet-stream",
    "cache-control": "no-cache",
  });
  createReadStream(file).pipe(response);
}
