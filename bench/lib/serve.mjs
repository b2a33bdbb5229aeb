/**
 * The files of the page, as a good host would serve them: what has a hash in its name stays in the browser's cache, and
 * the page is isolated, so that its clock is exact. Every sample gets an origin of its own: `http://s1.localhost:…`.
 */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import http from "node:http";
import path from "node:path";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

/** Serves a directory; `originOf(n)` is the nth origin. */
export async function serveFiles(root) {
  const server = http.createServer((request, response) => void send(root, request, response));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const { port } = server.address();
  const close = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  return { originOf: (n) => `http://s${n}.localhost:${port}`, close };
}

async function send(root, request, response) {
  const name = decodeURIComponent(new URL(request.url, "http://files").pathname);
  const file = path.join(root, name.endsWith("/") ? `${name}index.html` : name);
  const found = file.startsWith(root) && (await stat(file).catch(() => undefined))?.isFile();
  if (!found) return void response.writeHead(404, { "content-type": "text/plain" }).end("not found\n");
  response.writeHead(200, {
    "content-type": TYPES[path.extname(file)] ?? "application/octet-stream",
    "cache-control": name.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
  });
  createReadStream(file).pipe(response);
}
