/** One proposal, edited field by field. */
import { useState } from "react";
import { useEntity } from "tidewire/react";
import { db, type Customer, type Proposal } from "../data/db.ts";
import { removeWithUndo } from "../data/remove.ts";
import { proposalStatuses } from "../data/schema.ts";
import { explain } from "../lib/errors.ts";
import { formatTime } from "../lib/format.ts";
import { hrefTo } from "../lib/route.ts";
import { CustomerPicker } from "../ui/customer-picker.tsx";
import { Choice, Field } from "../ui/fields.tsx";
import { Icon } from "../ui/icons.tsx";
import { Panel } from "../ui/panel.tsx";
import { RowNote } from "../ui/row-note.tsx";
import { Empty, Loading } from "../ui/states.tsx";
import { parseAmount } from "./new-proposal.tsx";

interface Props {
  id: string;
  customers: readonly Customer[];
}

export function ProposalDetail({ id, customers }: Props) {
  const { row, status } = useEntity(db.proposals, id);
  if (!row) {
    return (
      <Panel page="proposals" title="Proposal">
        {status === "loading" || status === "partial" ? (
          <Loading what="the proposal" />
        ) : (
          <Empty title="This proposal is not here">It was deleted, or it belongs to somebody else.</Empty>
        )}
      </Panel>
    );
  }
  return <Loaded row={row} customers={customers} />;
}

function Loaded({ row, customers }: { row: Proposal; customers: readonly Customer[] }) {
  const [pickError, setPickError] = useState<string | undefined>(undefined);
  const update = (patch: Parameters<typeof db.proposals.update>[1]) => db.proposals.update(row.id, patch);

  function pick(customerId: string): void {
    setPickError(undefined);
    update({ customerId }).then(undefined, (error: unknown) => setPickError(explain(error).text));
  }

  return (
    <Panel
      page="proposals"
      title={row.title}
      sync={row.$sync.status}
      note={<RowNote sync={row.$sync} />}
      footer={
        <>
          <small>Changed {formatTime(row.$updatedAt)}</small>
          <button
            type="button"
            className="button danger"
            data-testid="delete"
            onClick={() => removeWithUndo("proposals", row.title, () => db.proposals.delete(row.id))}
          >
            <Icon name="trash" /> Delete
          </button>
        </>
      }
    >
      <div className="fields">
        <Field wide label="Title" name="title" value={row.title} save={(title) => update({ title })} />
        <CustomerPicker customers={customers} value={row.customerId} onChange={pick} error={pickError} />
        <Field
          label="Amount in euros"
          name="amount"
          type="number"
          value={String(row.amount)}
          save={async (text) => update({ amount: parseAmount(text) })}
        />
        <Choice
          label="Status"
          name="status"
          value={row.status}
          options={proposalStatuses}
          save={(next) => update({ status: next })}
        />
      </div>
      <Field label="Notes" name="notes" rows={6} value={row.notes} save={(notes) => update({ notes })} />
      <p>
        <a href={hrefTo("customers", row.customerId)} data-testid="open-customer">
          Open the customer
        </a>
      </p>
    </Panel>
  );
}
