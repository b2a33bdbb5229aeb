/** Customers: the list. */
import { useState } from "react";
import { useLiveQuery } from "tidewire/react";
import { db, type Customer } from "../data/db.ts";
import { addExamples } from "../data/examples.ts";
import { customerStatuses } from "../data/schema.ts";
import { capital, initials } from "../lib/format.ts";
import { goTo, hrefTo } from "../lib/route.ts";
import { showError } from "../lib/toasts.ts";
import { EntityList } from "../ui/entity-list.tsx";
import { Icon } from "../ui/icons.tsx";
import { ListPage, Pick, SearchBox } from "../ui/list-page.tsx";
import { Chip, SyncMark } from "../ui/marks.tsx";
import { Empty } from "../ui/states.tsx";
import { summarize, useSearch } from "../ui/use-search.ts";
import { CustomerDetail } from "./customer-detail.tsx";
import { NewCustomer } from "./new-customer.tsx";

const orders = [
  ["name asc", "Name"],
  ["company asc", "Company"],
  ["$updatedAt desc", "Last changed"],
  ["calls desc", "Most calls"],
] as const;

const filters = [["", "All"], ...customerStatuses.map((status) => [status, capital(status)] as const)] as const;

export function CustomersPage({ id }: { id: string | undefined }) {
  const [text, setText] = useState("");
  const [status, setStatus] = useState<string>("");
  const [order, setOrder] = useState<string>("name asc");
  const [path, direction] = order.split(" ") as ["name" | "company" | "$updatedAt" | "calls", "asc" | "desc"];
  const wanted = customerStatuses.find((known) => known === status);
  const { rows, status: loading } = useLiveQuery(
    db.customers.where(wanted ? { status: wanted } : {}).orderBy(path, direction),
  );
  const shown = useSearch(rows, text, searchText);

  const toolbar = (
    <>
      <SearchBox label="Search customers" value={text} onChange={setText} />
      <Pick label="Show" value={status} options={filters} onChange={setStatus} testId="filter-status" />
      <Pick label="Sort by" value={order} options={orders} onChange={setOrder} testId="sort" />
    </>
  );

  return (
    <ListPage
      title="Customers"
      summary={loading === "loading" ? "Loading" : summarize(shown.length, rows.length, "customer")}
      actions={
        <a className="button primary" href={hrefTo("customers", "new")} data-testid="new-customer">
          <Icon name="plus" /> New<span className="wide-only"> customer</span>
        </a>
      }
      toolbar={toolbar}
      list={
        <EntityList
          page="customers"
          what="customer"
          rows={shown}
          loading={loading}
          filtered={text !== "" || status !== ""}
          id={id}
          resetKey={`${text}|${status}|${order}`}
          empty={<NoCustomers />}
          start={<StartActions />}
          advice="Try fewer letters or another filter."
        >
          {(row) => <CustomerRow row={row} />}
        </EntityList>
      }
      detail={id === "new" ? <NewCustomer /> : id ? <CustomerDetail key={id} id={id} /> : undefined}
    />
  );
}

function NoCustomers() {
  return (
    <Empty icon="customers" title="No customers yet">
      <p>Add the first one, or start with a few examples.</p>
      <StartActions />
    </Empty>
  );
}

function StartActions() {
  return (
    <div className="empty-actions">
      <button type="button" className="button primary" onClick={() => goTo("customers", "new")}>
        New customer
      </button>
      <button
        type="button"
        className="button"
        data-testid="add-examples"
        onClick={() =>
          void addExamples().catch((error: unknown) => showError("The examples could not be added.", error))
        }
      >
        Add examples
      </button>
    </div>
  );
}

const chipTone = { lead: "blue", active: "green", former: "gray" } as const;

function CustomerRow({ row }: { row: Customer }) {
  return (
    <>
      <span className="avatar" aria-hidden="true">
        {initials(row.name)}
      </span>
      <span className="row-text">
        <strong>{row.name}</strong>
        <small>{[row.company, row.city].filter(Boolean).join(" · ") || "No company"}</small>
      </span>
      <SyncMark status={row.$sync.status} />
      <Chip tone={chipTone[row.status]}>{capital(row.status)}</Chip>
    </>
  );
}

function searchText(row: Customer): string {
  return `${row.name} ${row.company} ${row.city} ${row.email} ${row.tags.join(" ")}`;
}
