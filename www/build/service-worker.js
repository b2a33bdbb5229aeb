/*
 * The app shell: lets the demo open and reload without a network. It keeps no data; that is Tidewire's work.
 *
 * - API calls, other origins and anything that is not a GET pass through untouched.
 * - The page itself comes from the network when that answers in time, so nobody stays on an old version;
 *   otherwise from the cache.
 * - Built files have a hash in their name, so the cached copy is right for ever. Each version has a cache of its own;
 *   the one before is kept too, for a tab that still runs it.
 */
const VERSION = "__VERSION__";
const FILES = ["__FILES__"];
const PREFIX = "tidewire-demo-";
const CACHE = PREFIX + VERSION;
const PAGE_TIMEOUT_MS = 3000;
const scope = new URL("./", self.location.href);
const known = new Set(FILES.map((file) => new URL(file, scope).href));

self.addEventListener("install", (event) => {
  event.waitUntil(install());
});

self.addEventListener("activate", (event) => {
  event.waitUntil(dropOldCaches().then(() => self.clients.claim()));
});

self.addEventListener("message", (event) => {
  if (event.data === "activate") void self.skipWaiting();
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== scope.origin) return;
  if (url.pathname.startsWith("/api/")) return;
  if (request.mode === "navigate" && url.pathname === scope.pathname) {
    event.respondWith(page(request));
    return;
  }
  url.search = "";
  url.hash = "";
  if (known.has(url.href) || url.pathname.includes("/assets/")) event.respondWith(file(request));
});

async function install() {
  const cache = await caches.open(CACHE);
  // `reload` skips the HTTP cache: a stale page there must not become the offline copy.
  await cache.addAll(FILES.map((name) => new Request(new URL(name, scope).href, { cache: "reload" })));
}

async function dropOldCaches() {
  const ours = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(ours.slice(0, -1).map((name) => caches.delete(name)));
}

async function page(request) {
  const cached = () => caches.open(CACHE).then((cache) => cache.match(scope.href));
  try {
    const response = await fetch(request, { signal: AbortSignal.timeout(PAGE_TIMEOUT_MS) });
    if (response.status < 500) return response;
    return (await cached()) ?? response;
  } catch (error) {
    const copy = await cached();
    if (copy) return copy;
    throw error;
  }
}

async function file(request) {
  return (await caches.match(request, { ignoreSearch: true, ignoreVary: true })) ?? fetch(request);
}
