/** The one database of this page: named after the user, so that no two people share a queue. */
import { openDb, type Entity } from "tidewire";
import { collections } from "./schema.ts";
import { fetchToken, serverUrl, user } from "./session.ts";

export const db = openDb({ name: `demo-${user}`, url: serverUrl, auth: fetchToken, collections });

export type Customer = Entity<typeof db.customers>;
export type Proposal = Entity<typeof db.proposals>;
export type Movie = Entity<typeof db.movies>;
export type ImportedRecord = Entity<typeof db.records>;

declare global {
  interface Window {
    /** For tests and the console. */
    tidewire: { db: typeof db };
  }
}

window.tidewire = { db };
