/** The views of the sync: what waits for the server, what waits for a decision, and how well it goes. */
import { useConflicts } from "../data/conflicts.ts";
import { formatNumber } from "../lib/format.ts";
import { hrefTo, type PageName } from "../lib/route.ts";

const tabs = [
  ["queue", "Queue"],
  ["conflicts", "Conflicts"],
  ["health", "Health"],
] as const;

export function SyncTabs({ page }: { page: PageName }) {
  const waiting = useConflicts("waiting")?.length ?? 0;
  return (
    <nav className="tabs" aria-label="Sync">
      {tabs.map(([name, label]) => (
        <a
          key={name}
          href={hrefTo(name)}
          aria-current={page === name ? "page" : undefined}
          data-testid={`tab-${name}`}
        >
          {label}
          {name === "conflicts" && waiting > 0 && <span className="tab-count">{formatNumber(waiting)}</span>}
        </a>
      ))}
    </nav>
  );
}
