/** Conflicts between two windows of the demo: making them, and waiting for them. */
import { until } from "./until.mjs";

export function addOffer({ page }, value) {
  return page.evaluate(async (offer) => {
    const { db } = window.tidewire;
    const customer = db.customers.insert({ name: "Ada" });
    const write = db.proposals.insert({ ...offer, customerId: customer.id });
    await write.server({ timeoutMs: 60_000 });
    return write.id;
  }, value);
}

/** Offers of these names whose amount both have changed; ours (1) waits for a decision against theirs (2). */
export async function conflicted(ours, theirs, names, also = { ours: {}, theirs: {} }) {
  const ids = [];
  for (const title of names) ids.push(await addOffer(ours, { title, amount: 100 }));
  const change = ([all, value]) => {
    const { db } = window.tidewire;
    return Promise.all(all.map((id) => db.proposals.update(id, value)));
  };
  const changeOnServer = ([all, value]) => {
    const { db } = window.tidewire;
    return Promise.all(all.map((id) => db.proposals.update(id, value).server({ timeoutMs: 60_000 })));
  };
  await until("theirs has them", () =>
    theirs.page.evaluate((all) => all.every((id) => window.tidewire.db.proposals.peek(id)), ids),
  );
  await ours.page.evaluate(() => window.tidewire.db.sync.pause());
  await ours.page.evaluate(change, [ids, { ...also.ours, amount: 1 }]);
  await theirs.page.evaluate(changeOnServer, [ids, { ...also.theirs, amount: 2 }]);
  await ours.page.evaluate(() => window.tidewire.db.sync.resume());
  await waiting(ours, ids.length);
  return ids;
}

/** The header says that so many conflicts wait. */
export function waiting({ name, page }, number) {
  const found = page.getByTestId("conflict-badge");
  return until(`${name}: ${number} conflicts wait`, async () => {
    // Nothing of this waits: the badge may leave the page between two questions.
    const shown = Number((await found.allInnerTexts())[0] ?? 0);
    if (shown !== number) throw new Error(`${shown}`);
    return true;
  });
}
