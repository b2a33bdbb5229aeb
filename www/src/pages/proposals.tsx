/** Proposals: the list. A proposal names its customer by id. */
import { useMemo, useState } from "react";
import { useLiveQuery } from "tidewire/react";
import { db, type Proposal } from "../data/db.ts";
import { proposalStatuses } from "../data/schema.ts";
import { capital, formatMoney } from "../lib/format.ts";
import { hrefTo } from "../lib/route.ts";
import { EntityList } from "../ui/entity-list.tsx";
import { Icon } from "../ui/icons.tsx";
import { ListPage, Pick, SearchBox } from "../ui/list-page.tsx";
import { Chip, SyncMark } from "../ui/marks.tsx";
import { Empty } from "../ui/states.tsx";
import { summarize, useSearch } from "../ui/use-search.ts";
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
        <EntityList
          page="proposals"
          what="proposal"
          rows={shown}
          loading={loading}
          filtered={text !== "" || status !== ""}
          id={id}
          resetKey={`${text}|${status}|${order}`}
          empty={<NoProposals />}
          advice="Try fewer letters or another filter."
        >
          {(row) => <ProposalRow row={row} customer={names.get(row.customerId)} />}
        </EntityList>
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

function NoProposals() {
  return (
    <Empty icon="proposals" title="No proposals yet">
      <p>A proposal belongs to a customer. Write the first one.</p>
      <a className="button primary" href={hrefTo("proposals", "new")}>
        New proposal
      </a>
    </Empty>
  );
}

function ProposalRow({ row, customer }: { row: Proposal; customer: string | undefined }) {
  return (
    <>
      <span className="row-text">
        <strong>{row.title}</strong>
        <small>{customer ?? "(deleted customer)"}</small>
      </span>
      <SyncMark status={row.$sync.status} />
      <span className="amount">{formatMoney(row.amount)}</span>
      <Chip tone={proposalTone[row.status]}>{capital(row.status)}</Chip>
    </>
  );
}
