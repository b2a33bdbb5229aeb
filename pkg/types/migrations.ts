/** The way from version to version is data. */
import { collection, openDb, type Migrations, type MigrationStep } from "tidewire";
import { z } from "zod";

const step: MigrationStep = { rename: ["address", "a.b"], to: ["address", "c"] };
const migrations: Migrations = { 2: { todos: [step, { remove: "draft" }, { default: "done", value: false }] }, 3: {} };
export const db = openDb({
  name: "acme",
  version: 3,
  migrations,
  collections: { todos: collection(z.object({ name: z.string(), done: z.boolean() })) },
});
// @ts-expect-error: renamed to what?
export const nowhere: MigrationStep = { rename: "a" };
// @ts-expect-error: a function is no step
export const code: Migrations = { 2: { todos: [() => undefined] } };
// @ts-expect-error: a date is no JSON
export const date: MigrationStep = { default: "at", value: new Date() };
