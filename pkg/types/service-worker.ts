/** What a service worker and its page say to each other. */
import { collection, openDb } from "tidewire";
import { drain, leaveToken, type Drained, type DrainReason } from "tidewire/service-worker";
import { z } from "zod";

const db = openDb({ name: "acme", collections: { todos: collection(z.object({ title: z.string() })) } });

export async function page(): Promise<boolean> {
  await leaveToken(db, { auth: (why, user) => (why === "start" && user !== null ? `for ${user}` : null) });
  // @ts-expect-error: a token comes from a function
  await leaveToken(db, { auth: "token" });
  return leaveToken(db);
}

export async function worker(event: { waitUntil(done: Promise<unknown>): void }): Promise<Drained> {
  event.waitUntil(drain({ name: "acme", user: null, timeoutMs: 20_000 }));
  const { pending, reason } = await drain({ name: "acme", encrypt: { passphrase: "…" } });
  const left: number | undefined = pending;
  const why: DrainReason | undefined = reason;
  // @ts-expect-error: which database?
  await drain({});
  return { ...(left !== undefined && { pending: left }), ...(why && { reason: why }) };
}
