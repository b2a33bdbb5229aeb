/** A few customers and proposals to start with, so that an empty demo is one click from a full one. */
import { db } from "./db.ts";
import type { CustomerStatus, ProposalStatus } from "./schema.ts";

type Example = [name: string, company: string, city: string, status: CustomerStatus, tags: string[]];

const examples: Example[] = [
  ["Ada Lindqvist", "Fjord Ferries", "Bergen", "active", ["ferry", "north"]],
  ["Benoît Marchand", "Atelier Marée", "Brest", "active", ["design"]],
  ["Chiara Fontana", "Laguna Light", "Venice", "lead", ["lighting"]],
  ["Daniel Okafor", "Harbour & Sons", "Lagos", "active", ["port"]],
  ["Eva Nováková", "Vltava Boats", "Prague", "former", []],
  ["Farid Haddad", "Cedar Shipping", "Beirut", "lead", ["port", "south"]],
  ["Grace Murphy", "Skellig Tours", "Kerry", "active", ["tours"]],
  ["Hana Sato", "Seto Ceramics", "Okayama", "lead", ["design"]],
  ["Ivan Petrov", "Black Sea Sails", "Varna", "former", ["sails"]],
  ["Juana Ortega", "Ría Conservas", "Vigo", "active", ["food"]],
  ["Kwame Mensah", "Volta Fisheries", "Accra", "lead", ["food", "south"]],
  ["Łucja Zielińska", "Baltic Amber", "Gdańsk", "active", ["north", "craft"]],
];

const subjects: [title: string, status: ProposalStatus, amount: number][] = [
  ["Website with booking", "sent", 18_400],
  ["Yearly maintenance", "won", 6_200],
  ["Harbour signage", "draft", 42_000],
  ["Rebranding", "lost", 12_750],
  ["Training, two days", "won", 3_100],
];

export async function addExamples(): Promise<void> {
  let last: PromiseLike<unknown> = Promise.resolve();
  examples.forEach(([name, company, city, status, tags], index) => {
    const email = `${company.toLowerCase().replace(/[^a-z]/g, "")}@example.com`;
    const customer = db.customers.insert({
      name,
      company,
      city,
      status,
      tags,
      email,
      phone: "",
      calls: index % 4,
      notes: "",
    });
    for (const [title, state, amount] of [subjects[index % 5], subjects[(index * 2 + 1) % 5]].filter(
      (one) => one !== undefined,
    )) {
      const value = amount + index * 150;
      last = db.proposals.insert({ title, customerId: customer.id, status: state, amount: value, notes: "" });
    }
  });
  await last;
}
