/** Says in words when a row did not reach the server, or somebody else changed it too. */
import { conflictHref, useConflictOf } from "../data/conflicts.ts";
import { sentence } from "../lib/format.ts";
import { hrefTo } from "../lib/route.ts";
import type { RowSync } from "./marks.tsx";

interface Props {
  collection: string;
  id: string;
  sync: { readonly status: RowSync; readonly error?: { readonly message: string } };
}

export function RowNote({ collection, id, sync }: Props) {
  if (sync.status === "failed") {
    return (
      <div className="note" data-tone="bad" role="alert" data-testid="row-failed">
        <p>{sentence(sync.error?.message ?? "The server refused a change")} Your values are kept.</p>
        <a href={hrefTo("queue")}>Repair it in the queue</a>
      </div>
    );
  }
  if (sync.status === "conflict") return <ConflictNote collection={collection} id={id} />;
  return null;
}

function ConflictNote({ collection, id }: { collection: string; id: string }) {
  const conflict = useConflictOf(collection, id);
  return (
    <div className="note" data-tone="busy" data-testid="row-conflict">
      <p>Somebody else changed this too. You see your values; theirs are kept.</p>
      {conflict && (
        <a href={conflictHref(conflict)} data-testid="decide">
          Decide which stays
        </a>
      )}
    </div>
  );
}
