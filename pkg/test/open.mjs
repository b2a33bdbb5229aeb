/** Opens a database over the fake client. */
import { z } from "zod";
import { openWith } from "../dist/db.js";
import { fakeFactory } from "./fake.mjs";

let count = 0;

export const todo = z.object({
  title: z.string().min(1),
  done: z.boolean().default(false),
  votes: z.number().default(0),
  tags: z.array(z.string()).default([]),
  due: z.string().optional(),
  address: z.object({ city: z.string() }).optional(),
});

export function open(fake = {}, config = {}) {
  const factory = fake.store === undefined || fake.create === undefined ? fakeFactory(fake) : fake;
  const db = openWith(
    { name: `db${(count += 1)}`, collections: { todos: todo, projects: z.object({ name: z.string() }) }, ...config },
    factory,
  );
  return { db, factory };
}

export const refused = async (promise) => {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("was not refused");
};
