/** The frame of the demo: header, navigation, and the page that the address names. */
import { useEffect } from "react";
import { ImportPage } from "./pages/import.tsx";
import { ConflictsPage } from "./pages/conflicts.tsx";
import { CustomersPage } from "./pages/customers.tsx";
import { HealthPage } from "./pages/health.tsx";
import { MoviesPage } from "./pages/movies.tsx";
import { ProposalsPage } from "./pages/proposals.tsx";
import { QueuePage } from "./pages/queue.tsx";
import { RecordsPage } from "./pages/records.tsx";
import { importJob, isImporting } from "./import/job.ts";
import { hrefTo, useRoute, type PageName, type Route } from "./lib/route.ts";
import { useStore } from "./lib/store.ts";
import { ConflictBadge } from "./ui/conflict-badge.tsx";
import { Icon, Logo, type IconName } from "./ui/icons.tsx";
import { ImportProgress } from "./ui/import-progress.tsx";
import { OfflineSwitch } from "./ui/offline-switch.tsx";
import { StatusBadge } from "./ui/status-badge.tsx";
import { Toasts } from "./ui/toasts.tsx";
import { UserMenu } from "./ui/user-menu.tsx";

const entries: readonly { page: PageName; label: string; icon: IconName }[] = [
  { page: "customers", label: "Customers", icon: "customers" },
  { page: "proposals", label: "Proposals", icon: "proposals" },
  { page: "movies", label: "Movies", icon: "movies" },
  { page: "records", label: "Records", icon: "records" },
  { page: "import", label: "Import", icon: "import" },
  { page: "queue", label: "Sync", icon: "sync" },
];

export function App() {
  const route = useRoute();
  const label = entries.find(({ page }) => page === sectionOf(route.page))?.label ?? "";
  useEffect(() => {
    document.title = `${label} · Tidewire demo`;
  }, [label]);

  return (
    <div className="app" data-detail={route.id ? true : undefined}>
      <a className="skip" href="#main" onClick={skipToMain}>
        Skip to the content
      </a>
      <header className="top">
        <a className="brand" href={hrefTo("customers")} aria-label="Tidewire, to the customers">
          <Logo />
          <span>Tidewire</span>
        </a>
        <div className="top-end">
          <OfflineSwitch id="header" />
          <ConflictBadge />
          <StatusBadge />
          <UserMenu />
        </div>
      </header>
      <nav className="side" aria-label="Main">
        {entries.map(({ page, label: text, icon }) => (
          <a
            key={page}
            href={hrefTo(page)}
            aria-current={page === sectionOf(route.page) ? "page" : undefined}
            data-testid={`nav-${page}`}
          >
            <Icon name={icon} />
            <span>{text}</span>
          </a>
        ))}
      </nav>
      <main className="main" id="main" tabIndex={-1}>
        <ImportBanner route={route} />
        <Page route={route} />
      </main>
      <Toasts />
    </div>
  );
}

/** On every page while it runs; afterwards only beside the list that it filled. The import page has its own. */
function ImportBanner({ route }: { route: Route }) {
  const job = useStore(importJob);
  const beside = route.page === job?.target && route.id === undefined;
  return route.page !== "import" && (isImporting(job) || beside) ? <ImportProgress /> : null;
}

function Page({ route }: { route: Route }) {
  switch (route.page) {
    case "customers":
      return <CustomersPage id={route.id} />;
    case "proposals":
      return <ProposalsPage id={route.id} />;
    case "movies":
      return <MoviesPage id={route.id} />;
    case "records":
      return <RecordsPage id={route.id} />;
    case "import":
      return <ImportPage />;
    case "queue":
      return <QueuePage />;
    case "conflicts":
      return <ConflictsPage part="waiting" id={route.id} />;
    case "settled":
      return <ConflictsPage part="settled" id={route.id} />;
    case "health":
      return <HealthPage />;
  }
}

function sectionOf(page: PageName): PageName {
  return page === "health" || page === "conflicts" || page === "settled" ? "queue" : page;
}

/** The address after `#` belongs to the routes, so the skip link moves the focus itself. */
function skipToMain(event: React.MouseEvent): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}
