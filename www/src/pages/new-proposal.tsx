/** A new proposal for a customer that exists on this device, whether the server knows it yet or not. */
import { useState } from "react";
import { db, type Customer } from "../data/db.ts";
import { CustomerPicker } from "../ui/customer-picker.tsx";
import { FormInput, NewForm } from "../ui/new-form.tsx";

export function NewProposal({ customers }: { customers: readonly Customer[] }) {
  const title = useState("");
  const amount = useState("");
  const [customerId, setCustomerId] = useState("");

  function create() {
    const euros = parseAmount(amount[0] || "0");
    return db.proposals.insert({ title: title[0], customerId, amount: euros, status: "draft", notes: "" });
  }

  return (
    <NewForm
      page="proposals"
      what="proposal"
      name={title[0]}
      create={create}
      fields={(errorOf) => (
        <>
          <FormInput label="Title" name="title" text={title} errorOf={errorOf} autoFocus />
          <CustomerPicker
            customers={customers}
            value={customerId}
            onChange={setCustomerId}
            error={errorOf("customerId")}
          />
          <FormInput label="Amount in euros" name="amount" text={amount} errorOf={errorOf} inputMode="decimal" />
        </>
      )}
    />
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
