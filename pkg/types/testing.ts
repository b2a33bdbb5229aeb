/** The test kit is typed by the app's collections. */
import { z } from "zod";
import { collection, type Db, type DbOptions, type Repair } from "tidewire";
import { createTestServer, type TestDevice, type TestServer } from "tidewire/testing";

const todo = z.object({ title: z.string(), votes: z.number() });
const collections = { todos: collection(todo, { fields: { votes: "counter" } }) };

export async function kit(): Promise<void> {
  const server = await createTestServer({ collections, allow: ({ after }) => after?.["title"] !== "" || "a title" });
  const device: TestDevice = server.device("phone", { user: null });
  const db = device.open({ name: "app", collections });
  const write = db.todos.insert({ title: "Milk", votes: 1 });
  const title: string | undefined = (await db.todos.get(write.id))?.title;
  void title;
  // @ts-expect-error: votes is a number
  db.todos.insert({ title: "Milk", votes: "1" });
  // @ts-expect-error: there is no such collection
  server.rows("notes");
  // @ts-expect-error: no such traffic
  device.loseNextResponse("post");
  const any: TestServer<typeof collections> = server;
  void any;
  const rest: DbOptions<typeof collections> = { name: "b", collections };
  void device.open(rest);
}

/** What an app hears of the watchdog. */
export async function watchdog(db: Db<typeof collections>): Promise<readonly Repair[]> {
  db.on("watchdog", ({ code, ageMs, collection: name }) => console.log(code satisfies string, ageMs, name));
  return (await db.sync.health.get()).repairs;
}
