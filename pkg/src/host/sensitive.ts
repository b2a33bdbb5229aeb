/**
 * Makes the client of a database with sensitive fields: two clients, and the guard before them (`sensitive-guard.ts`).
 * It is loaded only where a collection has such fields.
 */
import { toPointer } from "../path.js";
import type { ClientConfig, WireClient, WireHost } from "../wasm/wire.js";
import { Guard } from "./sensitive-guard.js";
import { refusal } from "./sensitive-writes.js";
import { forgetMemory } from "./store.js";
import { browser } from "./surroundings.js";
import { stripped } from "./strip.js";

interface Loaded {
  readonly client: WireClient;
  readonly generation: number;
}
type Make = (config: string, owner: WireHost) => Promise<Loaded>;

const TIMEOUT_MS = 10_000;

/** Makes a client for these settings from two of `make`. */
export async function guard(
  config: ClientConfig,
  owner: WireHost,
  make: Make,
  whole: () => Promise<void>,
): Promise<Loaded> {
  const all = Object.entries(config.collections);
  const sensitive = all.filter(([, { sensitive }]) => Array.isArray(sensitive) && sensitive.length > 0);
  const fields = new Map(sensitive.map(([name, { sensitive }]) => [name, (sensitive as string[]).map(toPointer)]));
  const { name, url } = config;
  if (config["sensitive"] === "encrypted") throw refusal("bad-config", '`sensitive: "encrypted"` needs `encrypt`.');
  if (owner.peer)
    throw refusal("bad-config", 'Before a `backend`, `sensitive` fields need `encrypt` with `sensitive: "encrypted"`.');
  const made = new Guard(fields, owner, whole, (config["timeoutMs"] as number | undefined) ?? TIMEOUT_MS);
  const { surroundings = browser } = owner;
  const net = url === null ? undefined : surroundings.net(url, () => undefined);
  const peer = net && { peer: () => Promise.resolve(stripped(net, fields)) };
  const event = (json: string): void => made.told(json);
  const over = (): void => made.over();
  // Nobody else has this name: nothing of an instance that trapped is taken over.
  const own = { ...config, name: `${name}#${crypto.randomUUID?.() ?? Math.random()}`, storage: "memory" };
  const letGo = (): void => {
    net?.close?.();
    forgetMemory(own.name);
  };
  const main = await make(JSON.stringify(config), { ...owner, ...peer, event, over });
  const asideConfig = JSON.stringify({ ...own, collections: Object.fromEntries(sensitive) });
  const token: WireHost["token"] = (why) => owner.token(why);
  const host: WireHost = { surroundings, token, event: (json) => made.heard(json), over };
  const giveUp = async (clients: readonly Loaded[]): Promise<void> => {
    await Promise.allSettled(clients.map(({ client }) => client.close()));
    letGo();
  };
  const aside = await make(asideConfig, host).catch(async (error: unknown) => {
    await giveUp([main]);
    throw error;
  });
  if (main.generation !== aside.generation) {
    // The module has trapped in between: the first one is dead.
    await giveUp([main, aside]);
    return guard(config, owner, make, whole);
  }
  made.take(main.client, aside.client, letGo);
  return { client: made, generation: main.generation };
}
