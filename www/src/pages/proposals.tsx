/** Proposals: the list. A proposal names its customer by id. */
import { useMemo, useState } from "react";
import { useLiveQuery } from "tidewire/react";
import { db, type Proposal } from "../data/db.ts";
import { proposalStatuses } from "../data/schema.ts";
import { formatMoney } from "../lib/format.ts";
import { hrefTo } from "../lib/route.ts";
import { capital } from "../ui/fields.tsx";
import { FirstSync } from "../ui/first-sync.tsx";
import { Icon } from "../ui/icons.tsx";
import { ListPage, Pick, SearchBox } from "../ui/list-page.tsx";
import { Chip, SyncMark } from "../ui/marks.tsx";
import { Empty, Failure } from "../ui/states.tsx";
import { summarize, useSearch } from "../ui/use-search.ts";
import { VirtualList } from "../ui/virtual-list.tsx";
import { NewProposal } from "./new-proposal.tsx";
import { ProposalDetail } from "./proposal-detail.tsx";
import { proposalTone } from "./proposal-tone.ts";

const orders = [
  ["$updatedAt desc", "Last changed"],
  ["title asc", "Title"],
  ["amount desc", "Highest amount"],
  ["amount asc", "Lowest amount"],
] as const;

const filters = [["", "All"], ...proposalStatuses.map((status) => [status, capital(status)] as const)] as const;

export function ProposalsPage({ id }: { id: string | undefined }) {
  const [text, setText] = useState("");
  const [status, setStatus] = useState<string>("");
  const [order, setOrder] = useState<string>("$updatedAt desc");
  const [path, direction] = order.split(" ") as ["$updatedAt" | "title" | "amount", "asc" | "desc"];
  const wanted = proposalStatuses.find((known) => known === status);
  const { rows, status: loading } = useLiveQuery(
    db.proposals.where(wanted ? { status: wanted } : {}).orderBy(path, direction),
  );
  const { rows: customers } = useLiveQuery(db.customers.where({}).orderBy("name", "asc"));
  const names = useMemo(() => new Map(customers.map((customer) => [customer.id, customer.name])), [customers]);
  const searchText = useMemo(() => (row: Proposal) => `${row.title} ${names.get(row.customerId) ?? ""}`, [names]);
  const shown = useSearch(rows, text, searchText);
  const total = useMemo(() => shown.reduce((sum, row) => sum + row.amount, 0), [shown]);

  return (
    <ListPage
      title="Proposals"
      summary={
        loading === "loading"
          ? "Loading"
          : `${summarize(shown.length, rows.length, "proposal")} · ${formatMoney(total)}`
      }
      actions={
        <a className="button primary" href={hrefTo("proposals", "new")} data-testid="new-proposal">
          <Icon name="plus" /> New<span className="wide-only"> proposal</span>
        </a>
      }
      toolbar={
        <>
          <SearchBox label="Search proposals" value={text} onChange={setText} />
          <Pick label="Show" value={status} options={filters} onChange={setStatus} testId="filter-status" />
          <Pick label="Sort by" value={order} options={orders} onChange={setOrder} testId="sort" />
        </>
      }
      list={
        <ProposalRows
          rows={shown}
          names={names}
          loading={loading}
          filtered={text !== "" || status !== ""}
          id={id}
          resetKey={`${text}|${status}|${order}`}
        />
      }
      detail={
        id === "new" ? (
          <NewProposal customers={customers} />
        ) : id ? (
          <ProposalDetail key={id} id={id} customers={customers} />
        ) : undefined
      }
    />
  );
}

interface RowsProps {
  rows: readonly Proposal[];
  names: ReadonlyMap<string, string>;
  loading: string;
  filtered: boolean;
  id: string | undefined;
  resetKey: string;
}

function ProposalRows({ rows, names, loading, filtered, id, resetKey }: RowsProps) {
  if (loading === "error")
    return (
      <Failure
        title="The proposals cannot be read"
        text="This browser refused its own storage. Nothing was deleted."
      />
    );
  if (rows.length === 0 && (loading === "loading" || loading === "partial") && !filtered)
    return <FirstSync what="proposals" status={loading} />;
  if (rows.length === 0) {
    return filtered ? (
      <Empty icon="search" title="No proposal matches">
        Try fewer letters or another filter.
      </Empty>
    ) : (
      <Empty icon="proposals" title="No proposals yet">
        <p>A proposal belongs to a customer. Write the first one.</p>
        <a className="button primary" href={hrefTo("proposals", "new")}>
          New proposal
        </a>
      </Empty>
    );
  }
  return (
    <VirtualList
      rows={rows}
      rowHeight={68}
      label="Proposals"
      testId="proposal-list"
      selectedId={id}
      resetKey={resetKey}
    >
      {(row) => (
        <a
          className="row"
          href={hrefTo("proposals", row.id)}
          data-testid="proposal-row"
          data-id={row.id}
          aria-current={row.id === id ? "true" : undefined}
        >
          <span className="row-text">
            <strong>{row.title}</strong>
            <small>{names.get(row.customerId) ?? "(deleted customer)"}</small>
          </span>
          <SyncMark status={row.$sync.status} />
          <span className="amount">{formatMoney(row.amount)}</span>
          <Chip tone={proposalTone[row.status]}>{capital(row.status)}</Chip>
        </a>
      )}
    </VirtualList>
  );
}
