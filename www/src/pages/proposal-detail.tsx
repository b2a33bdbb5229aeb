/** One proposal, edited field by field. */
import { useState } from "react";
import { useEntity } from "tidewire/react";
import { db, type Customer, type Proposal } from "../data/db.ts";
import { proposalStatuses } from "../data/schema.ts";
import { explain } from "../lib/errors.ts";
import { hrefTo } from "../lib/route.ts";
import { CustomerPicker } from "../ui/customer-picker.tsx";
import { EntityPanel, MissingPanel } from "../ui/entity-panel.tsx";
import { Choice, Field } from "../ui/fields.tsx";
import { parseAmount } from "./new-proposal.tsx";

interface Props {
  id: string;
  customers: readonly Customer[];
}

export function ProposalDetail({ id, customers }: Props) {
  const { row, status } = useEntity(db.proposals, id);
  if (!row) return <MissingPanel page="proposals" what="proposal" status={status} />;
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
    <EntityPanel page="proposals" row={row} title={row.title} remove={() => db.proposals.delete(row.id)}>
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
    </EntityPanel>
  );
}
