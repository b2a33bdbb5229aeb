/** The server of y-websocket, in memory. */
import { getYDoc, setupWSConnection } from "@y/websocket-server/utils";
import { WebSocketServer } from "ws";
import * as Y from "yjs";
import { listen, reached } from "./shared.mjs";

let rooms = 0;

export async function serve() {
  rooms += 1;
  const room = `bench-${rooms}`;
  const { server, port, close } = await listen((_, response) => response.writeHead(404).end());
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket, request) => setupWSConnection(socket, request));
  const doc = getYDoc(room);
  const orders = doc.getMap("orders");
  return {
    options: { url: `ws://127.0.0.1:${port}`, room },
    fill: (docs) => {
      doc.transact(() => docs.forEach((one) => orders.set(one.id, new Y.Map(Object.entries(one)))));
    },
    has: (count) => reached(() => orders.size, count),
    close: async () => {
      for (const socket of sockets.clients) socket.terminate();
      await close();
    },
  };
}
