/** A new customer: three fields, the rest is filled in afterwards. */
import { useState } from "react";
import { db } from "../data/db.ts";
import { FormInput, NewForm } from "../ui/new-form.tsx";

const blank = { phone: "", city: "", status: "lead", calls: 0, notes: "" } as const;

export function NewCustomer() {
  const name = useState("");
  const company = useState("");
  const email = useState("");
  return (
    <NewForm
      page="customers"
      what="customer"
      name={name[0]}
      create={() => db.customers.insert({ ...blank, tags: [], name: name[0], company: company[0], email: email[0] })}
      fields={(errorOf) => (
        <>
          <FormInput label="Name" name="name" text={name} errorOf={errorOf} autoFocus />
          <FormInput label="Company" name="company" text={company} errorOf={errorOf} />
          <FormInput label="Email" name="email" text={email} errorOf={errorOf} inputMode="email" />
        </>
      )}
    />
  );
}
