/**
 * A conflict made on purpose: another person's device, in the memory of this page, edits a proposal while this device
 * is paused and edits the same fields. Nothing is pretended: both edits take the usual way through the server.
 */
import { collection, openDb } from "tidewire";
import { goTo } from "../lib/route.ts";
import { db, type Proposal } from "./db.ts";
import { workOffline } from "./offline.ts";
import { proposal, proposalOptions } from "./schema.ts";
import { people, serverUrl, tokenOf, user } from "./session.ts";

const waitMs = 15_000;

export async function makeConflict(): Promise<void> {
  if (workOffline.get()) throw new Error('It takes a server: switch "Work offline" off first.');
  const { id, amount, title } = await aProposal();
  const signal = AbortSignal.timeout(waitMs);
  await db.sync.done({ signal, timeoutMs: waitMs });
  const name = people.find((one) => one !== user) ?? "bob";
  const other = openDb({
    name: `demo-${user}-other`,
    url: serverUrl,
    storage: "memory",
    auth: () => tokenOf(name),
    collections: { proposals: collection(proposal, proposalOptions) },
  });
  try {
    await untilThere(other.proposals.live(id), signal);
    await db.sync.pause();
    const theirs = other.proposals.update(id, { amount: amount + 2_500, title: `${title}, revised by ${name}` });
    await theirs.server({ signal });
    await db.proposals.update(id, { amount: Math.max(0, amount - 1_000), title: `${title}, final offer` });
  } finally {
    if (!workOffline.get()) await db.sync.resume();
    await other.close();
  }
  const made = await untilThere(db.sync.conflicts.list, signal, (list) => list.find((one) => one.id === id));
  goTo("conflicts", made.key);
}

/** One that is there, or a new one with its customer. */
async function aProposal(): Promise<Proposal> {
  const open = new Set((await db.sync.conflicts.list.get()).map(({ id }) => id));
  const rows = await db.proposals.where({}).orderBy("$updatedAt", "desc").limit(20).get();
  const free = rows.find((row) => !open.has(row.id));
  if (free) return free;
  const customer = db.customers.insert({ name: "Ada Lindqvist", company: "Fjord Ferries" });
  const made = db.proposals.insert({ title: "Harbour signage", customerId: customer.id, amount: 42_000 });
  await made;
  return (await db.proposals.get(made.id)) as Proposal;
}

interface Watched<T> {
  subscribe(fn: (value: T) => void): () => void;
}

function untilThere<T, R = NonNullable<T>>(
  live: Watched<T>,
  signal: AbortSignal,
  pick: (value: T) => R | undefined = (value) => (value ?? undefined) as R | undefined,
): Promise<R> {
  return new Promise((resolve, reject) => {
    const late = () => finish(() => reject(new Error("The server did not answer in time. Is it in reach?")));
    const stop = live.subscribe((value) => {
      const found = pick(value);
      if (found !== undefined) finish(() => resolve(found));
    });
    function finish(settle: () => void): void {
      signal.removeEventListener("abort", late);
      queueMicrotask(() => stop());
      settle();
    }
    signal.addEventListener("abort", late);
  });
}
