/** A new proposal for a customer that exists on this device, whether the server knows it yet or not. */
import { useState } from "react";
import { db, type Customer } from "../data/db.ts";
import { offerUndo } from "../data/remove.ts";
import { goTo } from "../lib/route.ts";
import { CustomerPicker } from "../ui/customer-picker.tsx";
import { FormInput, NewForm } from "../ui/new-form.tsx";
import { Panel } from "../ui/panel.tsx";

export function NewProposal({ customers }: { customers: readonly Customer[] }) {
  const [title, setTitle] = useState("");
  const [customerId, setCustomerId] = useState("");
  const [amount, setAmount] = useState("");

  async function create(): Promise<void> {
    const write = db.proposals.insert({
      title,
      customerId,
      amount: parseAmount(amount || "0"),
      status: "draft",
      notes: "",
    });
    await write;
    goTo("proposals", write.id);
    offerUndo(`${title} added.`, write, () => goTo("proposals"));
  }

  return (
    <Panel page="proposals" title="New proposal">
      <NewForm
        page="proposals"
        submitLabel="Add proposal"
        onSubmit={create}
        fields={(errorOf) => (
          <>
            <FormInput
              label="Title"
              name="title"
              value={title}
              onChange={setTitle}
              error={errorOf("title")}
              autoFocus
            />
            <CustomerPicker
              customers={customers}
              value={customerId}
              onChange={setCustomerId}
              error={errorOf("customerId")}
            />
            <FormInput
              label="Amount in euros"
              name="amount"
              value={amount}
              onChange={setAmount}
              error={errorOf("amount")}
              inputMode="decimal"
            />
          </>
        )}
      />
    </Panel>
  );
}

/** "12,500", "12 500" and "12500.50" are amounts; anything else is said to be none. */
export function parseAmount(text: string): number {
  const amount = Number(
    text
      .trim()
      .replace(/[\s\u00a0€]/g, "")
      .replace(/,(?=\d{3}(\D|$))/g, "")
      .replace(",", "."),
  );
  if (text.trim() === "" || !Number.isFinite(amount))
    throw new Error("Write the amount as a number, such as 12500.");
  return amount;
}
