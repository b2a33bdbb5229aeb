/** Registers the service worker of the built demo, and offers a reload when a newer version is ready. */
import { showToast } from "./toasts.ts";

export function registerAppShell(): void {
  // Served by Vite itself the files change under the worker's feet; on plain http elsewhere there is no worker.
  if (!import.meta.env.PROD || !("serviceWorker" in navigator)) return;
  addEventListener("load", () => void register().catch(() => undefined));
}

async function register(): Promise<void> {
  const had = navigator.serviceWorker.controller !== null;
  const registration = await navigator.serviceWorker.register("./sw.js", { updateViaCache: "none" });
  const offer = () => {
    if (had && registration.waiting) offerReload(registration.waiting);
  };
  offer();
  registration.addEventListener("updatefound", () => {
    registration.installing?.addEventListener("statechange", offer);
  });
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") void registration.update().catch(() => undefined);
  });
}

function offerReload(waiting: ServiceWorker): void {
  showToast("A new version of the demo is ready.", {
    durationMs: 0,
    action: {
      label: "Reload",
      run: () => {
        navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
        waiting.postMessage("activate");
      },
    },
  });
}
