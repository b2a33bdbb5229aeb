/** What the browser believes about the network. It may be wrong; the status of the sync is what counts. */
import { useSyncExternalStore } from "react";

export function useBrowserOnline(): boolean {
  return useSyncExternalStore(watch, () => navigator.onLine);
}

function watch(listener: () => void): () => void {
  addEventListener("online", listener);
  addEventListener("offline", listener);
  return () => {
    removeEventListener("online", listener);
    removeEventListener("offline", listener);
  };
}
