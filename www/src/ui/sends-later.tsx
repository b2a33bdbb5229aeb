/** Says that what is done here is kept and sent later; nothing at all while there is a connection. */
import { useSyncStatus } from "tidewire/react";
import { db } from "../data/db.ts";
import { workOffline } from "../data/offline.ts";
import { useStore } from "../lib/store.ts";

export function SendsLater({ what }: { what: string }) {
  const { state } = useSyncStatus(db);
  const offline = useStore(workOffline) || state === "offline" || state === "paused";
  if (!offline) return null;
  return (
    <p className="note" data-testid="sends-later">
      There is no connection now. {what} is kept on this device and sent later.
    </p>
  );
}
