/** What a browser says of the room for its data, in `health`. */

/** Each browser says what it says; where it says nothing, health has null. */
export async function roomJourney(world) {
  const device = await world.device();
  await device.run(async () => void (await window.tw.db.todos.insert({ title: "stored" })));
  await device.until("health says what the browser says", async () => {
    const { storage } = navigator;
    const persisted = (await storage?.persisted?.()) ?? null;
    const estimate = await storage?.estimate?.().catch(() => undefined);
    const health = await window.tw.db.sync.health.get();
    const kind = (value) => typeof (value ?? null);
    const same = kind(health.usage) === kind(estimate?.usage) && kind(health.quota) === kind(estimate?.quota);
    return health.persisted === persisted && same;
  });
}
