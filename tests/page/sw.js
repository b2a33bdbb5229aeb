/**
 * The service worker of the test page: it drains when it is told to, by a sync event or by a message, and tells whoever
 * asks what came of it.
 */
import { drain } from "tidewire/service-worker";

const scope = /** @type {any} */ (self);

/** What drains came to, in their order. */
const done = [];

/** Drains, and writes down what came of it. A test's settings come with the tag of the event, or with the message. */
async function drainNow(text) {
  const { key, ...settings } = JSON.parse(text);
  const encrypt = key && { key: Uint8Array.from(key) };
  try {
    const drained = await drain({ name: "tests", ...settings, encrypt });
    done.push(drained);
    return drained;
  } catch (error) {
    done.push({ error: error.code });
    throw error;
  }
}

scope.addEventListener("install", () => scope.skipWaiting());
scope.addEventListener("activate", (event) => event.waitUntil(scope.clients.claim()));
scope.addEventListener("sync", (event) => event.waitUntil(drainNow(event.tag)));
scope.addEventListener("message", (event) => {
  const { port, say, text } = event.data;
  if (say === "done") return port.postMessage(done);
  const told = drainNow(text).then(
    (drained) => port.postMessage({ drained }),
    (error) => port.postMessage({ error: error.code }),
  );
  event.waitUntil(told);
});
