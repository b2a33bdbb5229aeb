/**
 * What must not compile. Each line says what the mistake is; a line that does compile fails the check. Without
 * `exactOptionalPropertyTypes`, 10 and 18 compile: then the validator, and `bad-query`, refuse them when they run.
 */
import { add, collection, inc, openDb, type Entity } from "tidewire";
import { useEntity, useLiveQuery } from "tidewire/react";
import * as v from "valibot";
import { z } from "zod";

const todo = z.object({
  title: z.string(),
  done: z.boolean().default(false),
  votes: z.number(),
  tags: z.array(z.string()),
  due: z.string().optional(),
  address: z.object({ city: z.string() }),
});
const db = openDb({ name: "misuse", collections: { todos: todo, projects: v.object({ name: v.string() }) } });

// Writes.

// @ts-expect-error 1: a required field is missing
db.todos.insert({ title: "x" });
// @ts-expect-error 2: a value of the wrong type
db.todos.insert({ title: 5, votes: 0, tags: [], address: { city: "" } });
// @ts-expect-error 3: a field that the schema does not know
db.todos.insert({ title: "x", votes: 0, tags: [], address: { city: "" }, colour: "red" });
// @ts-expect-error 4: a path that does not exist
db.todos.update("id", { "address.street": "x" });
// @ts-expect-error 5: a path into an array: an array is one value
db.todos.update("id", { "tags.0": "x" });
// @ts-expect-error 6: a nested value of the wrong type
db.todos.update("id", { "address.city": 5 });
// @ts-expect-error 7: inc() on a text
db.todos.update("id", { title: inc(1) });
// @ts-expect-error 8: add() of the wrong item
db.todos.update("id", { tags: add(5) });
// @ts-expect-error 9: add() on a field that is no array
db.todos.update("id", { votes: add(1) });
// @ts-expect-error 10: a required field cannot be removed
db.todos.update("id", { title: undefined });
// @ts-expect-error 11: a draft has the fields of the schema only
db.todos.update("id", (draft) => void (draft.colour = "red"));
// @ts-expect-error 12: an entity cannot be edited by assignment, rows are read-only
db.todos.peek("id")!.title = "x";
// @ts-expect-error 13: a nested array of a row is read-only, too
db.todos.peek("id")!.tags.push("x");

// Queries.

// @ts-expect-error 14: a filter on a field that does not exist
db.todos.where({ colour: "red" });
// @ts-expect-error 15: a comparison with another type
db.todos.where({ votes: { gt: "3" } });
// @ts-expect-error 16: a boolean cannot be compared by order
db.todos.where({ done: { gt: false } });
// @ts-expect-error 17: startsWith on a number
db.todos.where({ votes: { startsWith: "3" } });
// @ts-expect-error 18: undefined would match more than was meant
db.todos.where({ title: undefined });
// @ts-expect-error 19: an order by a field that does not exist
db.todos.where({}).orderBy("colour");
// @ts-expect-error 20: a direction that does not exist
db.todos.where({}).orderBy("title", "up");

// The database.

// @ts-expect-error 21: a collection that was not declared
db.people.insert({});
// @ts-expect-error 22: a transaction's function is synchronous
db.transaction(async (tx) => tx.todos.delete("id"));
// @ts-expect-error 23: an event that does not exist
db.on("saved", () => undefined);
db.sync.status.subscribe((status) => {
  // @ts-expect-error 24: progress is there only while syncing
  status.progress;
});

// The declaration of collections.

// @ts-expect-error 25: a reserved name
openDb({ name: "x", collections: { sync: todo } });
// @ts-expect-error 26: a Date is not JSON; the message names the field "when"
openDb({ name: "x", collections: { events: z.object({ when: z.date() }) } });
// @ts-expect-error 27: nor is a BigInt deep inside; the message names "a.b"
collection(z.object({ a: z.object({ b: z.bigint() }) }));
// @ts-expect-error 28: the output does not fit the input
collection(z.object({ size: z.string().transform((text) => text.length) }));
// @ts-expect-error 29: Tidewire makes the id
collection(z.object({ id: z.string(), title: z.string() }));
// @ts-expect-error 30: a counter is a number
collection(todo, { fields: { title: "counter" } });
// @ts-expect-error 31: a strategy that does not exist
collection(todo, { conflict: "newest" });
// @ts-expect-error 32: settings of a field that does not exist
collection(todo, { fields: { colour: "merge" } });
// @ts-expect-error 33: a validator that is none
openDb({ name: "x", collections: { todos: { title: "string" } } });

// Hooks and types.

// @ts-expect-error 34: initial rows of another entity
useLiveQuery(db.todos.where({}), { initial: [{ name: "x" }] });
// @ts-expect-error 35: the hook takes a collection of a database
useEntity("todos", "id");
// @ts-expect-error 36: the row of one collection is not that of another
const row: Entity<typeof db.projects> = db.todos.peek("id")!;
export { row };

// @ts-expect-error 37: a set is an array
collection(todo, { fields: { title: "union" } });
// @ts-expect-error 38: only a text is merged as one
collection(todo, { fields: { done: "text" } });
// @ts-expect-error 39: a backend that cannot store
openDb({ name: "x", backend: { pull: async () => ({ rows: [] }) }, collections: {} });

// References and numbers.

const task = z.object({ title: z.string(), votes: z.number(), boardId: z.string() });
const board = z.object({ name: z.string() });
const refs = { boardId: { to: "boards", as: "board", many: "tasks" } } as const;
const linked = openDb({ name: "linked", collections: { tasks: collection(task, { refs }), boards: board } });
// @ts-expect-error 40: a reference in a field that does not exist
collection(task, { refs: { ownerId: { to: "people" } } });
// @ts-expect-error 41: a number is no id
collection(task, { refs: { votes: { to: "boards" } } });
// @ts-expect-error 42: a reference to a collection that does not exist; the message names it
openDb({ name: "x", collections: { tasks: collection(task, { refs }) } });
// @ts-expect-error 43: what happens on a deletion is one of three things
collection(task, { refs: { boardId: { to: "boards", onDelete: "explode" } } });
// @ts-expect-error 44: there is no such reference
linked.tasks.where().include("owner");
// @ts-expect-error 45: from here it has another name
linked.boards.where().include("board");
// @ts-expect-error 46: what is not included is not there
linked.tasks.where().peek()?.[0]?.board;
// @ts-expect-error 47: the sum of texts
linked.tasks.where().sum("title");
// @ts-expect-error 48: groups of a field that does not exist
linked.tasks.where().groupBy("colour");

// Conflicts.

// @ts-expect-error 49: a conflict function gives a whole row
collection(todo, { conflict: ({ mine }) => ({ title: mine.title }) });
// @ts-expect-error 50: a conflict function is synchronous
collection(todo, { conflict: async ({ mine }) => mine });
// @ts-expect-error 51: what a conflict function gets is read-only
collection(todo, { conflict: ({ mine }) => ((mine.title = "x"), mine) });
// @ts-expect-error 52: a field has no function of its own
collection(todo, { fields: { title: () => "x" } });
// @ts-expect-error 53: a decision that does not exist
db.sync.conflicts.keep("key", "ours");
// @ts-expect-error 54: a name of Tidewire's own
openDb({ name: "x", collections: { $conflicts: todo } });

// Fields that are not stored.

// @ts-expect-error 44: a sensitive field that does not exist
collection(todo, { sensitive: ["colour"] });
// @ts-expect-error 45: sensitive fields are stored encrypted or not at all
openDb({ name: "x", sensitive: "plain", collections: { todos: collection(todo, { sensitive: ["address.city"] }) } });
// @ts-expect-error 46: a store has a key or a passphrase
openDb({ name: "x", encrypt: { password: "x" }, collections: { todos: todo } });
// What stays on the device.

// @ts-expect-error 55: a local field that does not exist
collection(todo, { local: ["colour"] });
// @ts-expect-error 56: a filter of what is kept, on a field that does not exist
collection(todo, { replicate: { where: { colour: "red" } } });
// @ts-expect-error 57: how much is kept is a word or an object
collection(todo, { replicate: "some" });
// @ts-expect-error 58: a bound is a number
collection(todo, { replicate: { maxEntities: "5" } });
// @ts-expect-error 59: what was fetched may not be there
(await db.todos.fetch("id")).title;
