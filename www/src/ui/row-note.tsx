/** Says in words when a row did not reach the server, or somebody else changed it too. */
import { sentence } from "../lib/format.ts";
import { hrefTo } from "../lib/route.ts";
import type { RowSync } from "./marks.tsx";

interface Props {
  sync: { readonly status: RowSync; readonly error?: { readonly message: string } };
}

export function RowNote({ sync }: Props) {
  if (sync.status === "failed") {
    return (
      <div className="note" data-tone="bad" role="alert" data-testid="row-failed">
        <p>{sentence(sync.error?.message ?? "The server refused a change")} Your values are kept.</p>
        <a href={hrefTo("queue")}>Repair it in the queue</a>
      </div>
    );
  }
  if (sync.status === "conflict") {
    return (
      <div className="note" data-tone="busy" data-testid="row-conflict">
        <p>Somebody else changed this too. You see your values; theirs are kept.</p>
      </div>
    );
  }
  return null;
}
