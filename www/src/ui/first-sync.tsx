/**
 * A list without rows on a device that has not seen the whole collection yet: not known to be empty. With a server in
 * reach it is loading; without one it says so, and that adding is possible all the same.
 */
import type { ReactNode } from "react";
import { useSyncStatus } from "tidewire/react";
import { db } from "../data/db.ts";
import { workOffline } from "../data/offline.ts";
import { useStore } from "../lib/store.ts";
import { Empty, Loading } from "./states.tsx";

interface Props {
  what: string;
  status: string;
  /** What that means here. */
  advice?: string;
  children?: ReactNode;
}

const keptHere = "It has not been in touch with the server. What you add is kept here and sent later.";

export function FirstSync({ what, status, advice = keptHere, children }: Props) {
  const { state } = useSyncStatus(db);
  const offline = useStore(workOffline) || state === "offline" || state === "paused";
  if (status === "loading" || !offline) return <Loading what={what} />;
  return (
    <Empty title={`No ${what} on this device yet`} testId="not-synced">
      <p>{advice}</p>
      {children}
    </Empty>
  );
}
