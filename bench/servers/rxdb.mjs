/** RxDB's WebSocket server, on its storage in memory. */
import { createRxDatabase } from "rxdb/plugins/core";
import { startWebsocketServer } from "rxdb/plugins/replication-websocket";
import { getRxStorageMemory } from "rxdb/plugins/storage-memory";
import { orders as schema } from "../adapters/rxdb.js";
import { listen, reached } from "./shared.mjs";

let databases = 0;

export async function serve() {
  databases += 1;
  const database = await createRxDatabase({ name: `bench-${databases}`, storage: getRxStorageMemory() });
  const { orders } = await database.addCollections({ orders: { schema } });
  const { server, port, close } = await listen((_, response) => response.writeHead(404).end());
  startWebsocketServer({ database, server });
  let count = 0;
  orders.storageInstance.changeStream().subscribe(({ events }) => {
    count += events.filter(({ operation }) => operation === "INSERT").length;
  });
  return {
    options: { url: `ws://127.0.0.1:${port}` },
    fill: async (docs) => {
      const { error } = await orders.bulkInsert(docs);
      if (error.length > 0) throw new Error(`RxDB's server refused ${error.length} documents`);
    },
    has: (wanted) => reached(() => count, wanted),
    close: async () => {
      server.closeAllConnections();
      await Promise.race([database.close(), new Promise((resolve) => setTimeout(resolve, 1_000))]);
      await close();
    },
  };
}
