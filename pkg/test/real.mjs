/** Opens a database over the real module, in memory. What crosses the boundary can be watched. */
import { readFileSync } from "node:fs";
import { openWith } from "../dist/db.js";
import { wasmFactory } from "../dist/wasm/client.js";

const bytes = readFileSync(new URL("../dist/tidewire.wasm", import.meta.url));
let count = 0;

/** `crossed` gets the name and the text of each answer. */
export function openReal(t, collections, crossed) {
  const factory = wasmFactory(bytes);
  const spied = {
    ...factory,
    async create(config, host) {
      const loaded = await factory.create(config, host);
      return { ...loaded, client: crossed === undefined ? loaded.client : spy(loaded.client, crossed) };
    },
  };
  const db = openWith({ name: `real${(count += 1)}`, storage: "memory", collections }, spied);
  t.after(() => db.close());
  return db;
}

function spy(client, crossed) {
  return new Proxy(client, {
    get(target, name) {
      const member = target[name];
      if (typeof member !== "function") return member;
      return (...args) => {
        const answer = member.apply(target, args);
        if (typeof answer === "string") crossed(name, answer);
        return answer;
      };
    },
  });
}
