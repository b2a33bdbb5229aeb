/** What the peers' servers have in common. They keep their data in memory; Tidewire's writes it to a disk. */
import http from "node:http";

/** Listens on a free port of this machine. */
export async function listen(handler) {
  const server = http.createServer(handler);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const close = () =>
    new Promise((resolve) => {
      server.close(() => resolve(undefined));
      server.closeAllConnections();
    });
  return { server, port: server.address().port, close };
}

/** The body of a request as JSON. */
export async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
}

/** Lets pages of other origins call. Says whether the request was only the question for that. */
export function crossOrigin(request, response) {
  response.setHeader("access-control-allow-origin", request.headers.origin ?? "*");
  response.setHeader("access-control-allow-credentials", "true");
  response.setHeader("access-control-allow-headers", "accept, authorization, content-type, x-requested-with");
  response.setHeader("access-control-allow-methods", "GET, POST, PUT, DELETE, OPTIONS");
  response.setHeader("access-control-max-age", "600");
  if (request.method !== "OPTIONS") return false;
  response.writeHead(204).end();
  return true;
}

/** Waits until `count()` has reached `wanted`; the wall clock then. */
export async function reached(count, wanted, timeoutMs = 300_000) {
  const until = Date.now() + timeoutMs;
  while (count() < wanted) {
    if (Date.now() > until) throw new Error(`the server has ${count()} of ${wanted} documents after ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return Date.now();
}
