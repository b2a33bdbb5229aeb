/** Pauses the sync of this device. It says what it does: the network is not touched. */
import { setWorkOffline, workOffline } from "../data/offline.ts";
import { useStore } from "../lib/store.ts";

export function OfflineSwitch({ id }: { id: "header" | "popover" | "queue" }) {
  const on = useStore(workOffline);
  return (
    <button
      type="button"
      role="switch"
      aria-checked={on}
      className="switch"
      data-testid={id === "header" ? "offline-switch" : `offline-switch-${id}`}
      onClick={() => setWorkOffline(!on)}
    >
      <span className="switch-track" aria-hidden="true" />
      <span>Work offline</span>
    </button>
  );
}
