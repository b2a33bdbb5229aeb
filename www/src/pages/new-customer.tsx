/** A new customer: three fields, the rest is filled in afterwards. */
import { useState } from "react";
import { db } from "../data/db.ts";
import { offerUndo } from "../data/remove.ts";
import { goTo } from "../lib/route.ts";
import { FormInput, NewForm } from "../ui/new-form.tsx";
import { Panel } from "../ui/panel.tsx";

export function NewCustomer() {
  const [name, setName] = useState("");
  const [company, setCompany] = useState("");
  const [email, setEmail] = useState("");

  async function create(): Promise<void> {
    const write = db.customers.insert({
      name,
      company,
      email,
      phone: "",
      city: "",
      status: "lead",
      calls: 0,
      tags: [],
      notes: "",
    });
    await write;
    goTo("customers", write.id);
    offerUndo(`${name} added.`, write, () => goTo("customers"));
  }

  return (
    <Panel page="customers" title="New customer">
      <NewForm
        page="customers"
        submitLabel="Add customer"
        onSubmit={create}
        fields={(errorOf) => (
          <>
            <FormInput label="Name" name="name" value={name} onChange={setName} error={errorOf("name")} autoFocus />
            <FormInput
              label="Company"
              name="company"
              value={company}
              onChange={setCompany}
              error={errorOf("company")}
            />
            <FormInput
              label="Email"
              name="email"
              value={email}
              onChange={setEmail}
              error={errorOf("email")}
              inputMode="email"
            />
          </>
        )}
      />
    </Panel>
  );
}
