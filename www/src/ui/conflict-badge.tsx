/** How many conflicts wait for a decision: on every page while there are any, nothing otherwise. */
import { useConflicts } from "../data/conflicts.ts";
import { count, formatNumber } from "../lib/format.ts";
import { hrefTo } from "../lib/route.ts";
import { Icon } from "./icons.tsx";

export function ConflictBadge() {
  const waiting = useConflicts("waiting")?.length ?? 0;
  const words = `${count(waiting, "conflict")} ${waiting === 1 ? "waits" : "wait"} for you`;
  return (
    <>
      {waiting > 0 && (
        <a
          className="badge conflict-badge"
          href={hrefTo("conflicts")}
          aria-label={words}
          title={words}
          data-testid="conflict-badge"
        >
          <Icon name="fork" />
          {formatNumber(waiting)}
        </a>
      )}
      <span className="visually-hidden" role="status">
        {waiting > 0 ? words : ""}
      </span>
    </>
  );
}
