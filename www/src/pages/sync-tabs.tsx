/** The two views of the sync: what waits, and how well it goes. */
import { hrefTo, type PageName } from "../lib/route.ts";

export function SyncTabs({ page }: { page: PageName }) {
  return (
    <nav className="tabs" aria-label="Sync">
      <a href={hrefTo("queue")} aria-current={page === "queue" ? "page" : undefined} data-testid="tab-queue">
        Queue
      </a>
      <a href={hrefTo("health")} aria-current={page === "health" ? "page" : undefined} data-testid="tab-health">
        Health
      </a>
    </nav>
  );
}
