/** What an app gives to `openDb`. Its tests give the same to the devices of the test kit. */
import { collection } from "tidewire";
import { z } from "zod";

const todo = z.object({ title: z.string().min(1), done: z.boolean().default(false), votes: z.number().default(0) });

export const options = {
  name: "app",
  collections: { todos: collection(todo, { conflict: "manual", fields: { votes: "counter" } }) },
};
