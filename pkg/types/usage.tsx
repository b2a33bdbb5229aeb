/** What must compile, with the types that must come out. Not run: the compiler is the test. */
import {
  add,
  collection,
  inc,
  meta,
  openDb,
  remove,
  set,
  unset,
  type Conflict,
  type ConflictFunction,
  type Entity,
  type Path,
  type Row,
  type Write,
} from "tidewire";
import { useEntity, useLiveQuery, useSyncStatus } from "tidewire/react";
import type { Backend, BackendRow } from "tidewire/backend";
import { createSyncService } from "tidewire/service";
import type { ApiClient, DiffCalculator, OfflineQueue, RealTimeSync } from "tidewire/service";
import type { SyncEntity, SyncOperation, SyncService } from "tidewire/service";
import type { SchemaCheck, TypeProblem } from "../dist/types.js";
import * as v from "valibot";
import { z } from "zod";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function is<T extends true>(): T | void {}

export const db = openDb({
  name: "acme",
  url: "https://sync.example.com",
  auth: (why) => (why === "rejected" ? null : "token"),
  collections: {
    todos: collection(
      z.object({
        title: z.string().min(1),
        done: z.boolean().default(false),
        votes: z.number(),
        tags: z.array(z.string()),
        due: z.string().optional(),
        address: z.object({ city: z.string(), zip: z.string().nullable() }).optional(),
      }),
      {
        conflict: "merge",
        fields: { votes: "counter", tags: "union", title: "text", "address.city": "server-wins" },
        local: ["due", "address.zip"],
      },
    ),
    projects: z.object({ name: z.string() }),
    people: v.object({ name: v.string(), age: v.optional(v.number(), 0), kind: v.picklist(["a", "b"]) }),
  },
});

// A record: its keys are not known, so an id cannot be among them by name.
const open = openDb({ name: "open", collections: { things: collection(z.record(z.string(), z.number())) } });
open.things.insert({ a: 1 });

const w = db.todos.insert({ title: "Buy milk", votes: 0, tags: [] });
is<Equal<typeof w, Write>>();
export async function journey(): Promise<void> {
  await w;
  const verdict = await w.server({ timeoutMs: 100 });
  if (verdict.verdict === "rejected") verdict.code satisfies string;
  await db.todos.update(w.id, { done: true, votes: inc(1), tags: add("shop"), "address.city": "Oslo", due: undefined });
  await db.todos.update(w.id, {
    due: unset(),
    title: set("x"),
    tags: remove("shop"),
    address: { city: "Oslo", zip: null },
  });
  await db.todos.update(w.id, (draft) => void draft.tags.push("x"), { ifRev: 3 });
  await db.todos.update(w.id, [
    [["address", "a.b"], 1],
    ["title", "x"],
  ]);
  const row = await db.todos.get(w.id);
  if (row !== undefined) {
    is<Equal<typeof row, Entity<typeof db.todos>>>();
    row.tags satisfies readonly string[];
    row.$sync.status satisfies string;
    meta({ ...row }).$rev satisfies number;
    await db.todos.upsert({ ...row, done: true });
  }
  const sum = await db.transaction((tx) => {
    const id = tx.projects.insert({ name: "Home" });
    tx.todos.update(w.id, { title: id });
    return 42;
  });
  sum satisfies number;
  (await db.sync.done({ signal: AbortSignal.timeout(10) })).failed satisfies number;
}

is<Equal<Path<{ a: { b: number; c: string[] }; d?: { e: string } }>, "a" | "a.b" | "a.c" | "d" | "d.e">>();

const top = db.todos
  .where({
    done: false,
    votes: { gt: 3 },
    "address.zip": null,
    $or: [{ title: { startsWith: "B" } }, { tags: { contains: "x" } }],
  })
  .orderBy("$updatedAt", "desc")
  .limit(50);
top.subscribe((rows) => rows[0]?.title satisfies string | undefined, { flush: "sync", onError: (error) => error.code });
db.sync.status.subscribe((s) => {
  if (s.state === "connecting") s.attempt satisfies number | undefined;
  if (s.state === "paused") s.reason satisfies string | undefined;
  s.pending satisfies number;
});
db.on("conflict", ({ overwritten, open }) => {
  overwritten?.[0]?.path satisfies string | undefined;
  open?.[0] satisfies string | undefined;
});
db.sync.conflicts.list.subscribe((list) => {
  for (const one of list) {
    one.fields[0]?.path satisfies string | undefined;
    if (one.mine !== undefined) is<Equal<ReturnType<typeof one.keep>, Write>>();
    one.keep({ ...one.mine, title: "both" }, { paths: ["/title"] }).undo();
  }
});
db.sync.conflicts.restore("key") satisfies Write;
db.todos.history("id").peek() satisfies readonly Conflict[] | undefined;
const decide: ConflictFunction<{ title: string; tags: string[] }> = ({ base, mine, theirs, fields }) => {
  is<Equal<typeof mine.tags, readonly string[]>>();
  base?.title satisfies string | undefined;
  return fields.includes("/title") ? "ask" : { ...theirs, tags: [...mine.tags] };
};
const tagged = z.object({ title: z.string(), tags: z.array(z.string()) });
collection(tagged, { conflict: decide, fields: { tags: "manual" } });
collection(z.object({ title: z.string() }), { conflict: ({ mine }) => mine });
collection(z.object({ title: z.string() }), { conflict: "manual" });
db.people.insert({ name: "Ann", kind: "a" });
db.people
  .where({ kind: { in: ["a"] }, age: { lte: 3 }, $status: "pending" })
  .count()
  .peek() satisfies number | undefined;

export function List({
  initial,
}: {
  initial: readonly Row<{
    title: string;
    done: boolean;
    votes: number;
    tags: string[];
    due?: string;
    address?: { city: string; zip: string | null };
  }>[];
}) {
  const { rows, status } = useLiveQuery(db.todos.where({ done: false }), { initial });
  const { row } = useEntity(db.projects, rows[0]?.id);
  const sync = useSyncStatus(db);
  return (
    <ul title={`${status} ${sync.state} ${row?.name}`}>
      {rows.map((todo) => (
        <li key={todo.id}>{todo.title}</li>
      ))}
    </ul>
  );
}

// Data whose shape the compiler cannot know: any JSON, at any depth.
const loose = openDb({
  name: "loose",
  collections: {
    records: collection(
      z.object({
        n: z.number(),
        data: z.record(z.string(), z.json()),
        kids: z.record(z.string(), z.object({ age: z.number() })),
        anything: z.any(),
      }),
    ),
  },
});
loose.records.update("id", { "data.a.b": [1, { c: null }], data: { x: 1 }, "kids.ann.age": 4, "kids.bob": { age: 5 } });
loose.records.where({ "data.a.b": { gt: 3 } });

// The messages that the compiler gives name the field and say what to do.
is<
  Equal<
    SchemaCheck<z.ZodObject<{ when: z.ZodDate }>>,
    TypeProblem<`The field "when" of the validator's output is not JSON. Dates are RFC 3339 strings.`>
  >
>();
is<
  Equal<
    SchemaCheck<z.ZodObject<{ a: z.ZodArray<z.ZodObject<{ b: z.ZodBigInt }>> }>>,
    TypeProblem<`The field "a.b" of the validator's output is not JSON. Dates are RFC 3339 strings.`>
  >
>();
// @ts-expect-error: and `is` does notice a difference
is<Equal<string, number>>();

// A backend of the app's own: a row is an answer to `push` too, and what is missing in it is as it was sent.
const row: BackendRow = { id: "1", version: "7", value: { title: "a" } };
const backend: Backend = {
  pull: async ({ since }) => ({ rows: [row], next: since, more: false }),
  push: async ({ kind, ifVersion }) => {
    if (ifVersion === undefined && kind !== "insert") return { conflict: row };
    return kind === "delete" ? {} : row;
  },
};
const ownNotes = { notes: z.object({ text: z.string() }) };
const own = openDb({ name: "own", backend, rate: { concurrency: 1 }, collections: ownNotes });
const { delivery } = await own.sync.status.get();
is<Equal<typeof delivery, "exactly-once" | "at-least-once">>();

// The classic face: an entity keeps its type, and gets an id.
const api: ApiClient = {
  list: async (_type, { cursor }) => ({ items: [{ entity: { id: "1", name: "a" }, etag: "7" }], cursor: cursor ?? 0 }),
  get: async () => null,
  create: async () => undefined,
  update: async (_type, _id, patch, { ifMatch }) => void [patch, ifMatch],
  remove: async () => undefined,
};
const service: SyncService = createSyncService(api);
const saved = await service.syncEntity("users", { name: "Ada" });
is<Equal<(typeof saved)["name"], string>>();
const userId: string = saved.id;
const stop: () => void = service.realTime.subscribe("users", (user: SyncEntity) => console.log(user.id, userId));
service.setConflictStrategy("users", "last-write-wins");
const waiting: readonly SyncOperation[] = await service.queue.pending();
const parts: [OfflineQueue, RealTimeSync, DiffCalculator] = [service.queue, service.realTime, service.diff];
export { stop, waiting, parts };

// References and numbers.
const linked = openDb({
  name: "linked",
  collections: {
    tasks: collection(
      z.object({
        title: z.string(),
        votes: z.number().optional(),
        kind: z.enum(["a", "b"]).optional(),
        boardId: z.string(),
      }),
      { refs: { boardId: { to: "boards", as: "board", many: "tasks", onDelete: "cascade" } } },
    ),
    boards: z.object({ name: z.string() }),
  },
});
type Task = Entity<typeof linked.tasks>;
type Board = Entity<typeof linked.boards>;
const [withBoard] = linked.tasks.where({ kind: "a" }).include("board").limit(3).peek() ?? [];
if (withBoard !== undefined) is<Equal<typeof withBoard.board, Board | null>>();
const [withTasks] = linked.boards.where().orderBy("name").include("tasks").peek() ?? [];
if (withTasks !== undefined) is<Equal<typeof withTasks.tasks, readonly Task[]>>();
withTasks?.name satisfies string | undefined;
linked.tasks.where().sum("votes").peek() satisfies number | undefined;
linked.tasks.where().avg("votes").peek() satisfies number | null | undefined;
const earliest = linked.tasks.where().min("kind").peek();
is<Equal<typeof earliest, "a" | "b" | null | undefined>>();
const [group] = linked.tasks.where().groupBy("kind").sum("votes").peek() ?? [];
if (group !== undefined) is<Equal<typeof group.key, "a" | "b" | null>>();
linked.tasks.where().include("board").subscribeChanges(({ added, origin }) => {
  added[0]?.board?.name satisfies string | undefined;
  origin satisfies "local" | "remote";
});
linked.tasks.where().delete().then(({ ids, atomic }) => [ids satisfies readonly string[], atomic satisfies boolean]);
export function Tasks() {
  const { rows } = useLiveQuery(linked.tasks.where().include("board"));
  return <ul>{rows.map((row) => row.board?.name)}</ul>;
}
