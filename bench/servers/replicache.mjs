/** A server for Replicache by its documentation's strategy of a global version, in memory, with pokes by WebSocket. */
import { WebSocketServer } from "ws";
import { bodyOf, crossOrigin, listen, reached } from "./shared.mjs";

export async function serve() {
  const state = { version: 1, rows: new Map(), clients: new Map() };
  const routes = { "/push": push, "/pull": pull };
  const { server, port, close } = await listen(async (request, response) => {
    if (crossOrigin(request, response)) return;
    const route = routes[new URL(request.url, "http://server").pathname];
    const answer = route(state, await bodyOf(request));
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
    if (route === push) for (const socket of sockets.clients) socket.send("poke");
  });
  const sockets = new WebSocketServer({ server });
  return {
    options: { url: `http://127.0.0.1:${port}`, socket: `ws://127.0.0.1:${port}` },
    fill: (docs) => mutators.put(state, docs),
    has: (count) => reached(() => state.rows.size, count),
    close: async () => {
      for (const socket of sockets.clients) socket.terminate();
      await close();
    },
  };
}

const newest = (doc) => `${doc.status}/${String(9_999_999_999_999 - doc.createdAt).padStart(13, "0")}`;

const mutators = {
  put({ rows, version }, docs) {
    for (const doc of docs) rows.set(`order/${doc.id}`, { value: { ...doc, _newest: newest(doc) }, version });
  },
  patch({ rows, version }, list) {
    for (const [id, changes] of list) {
      const value = { ...rows.get(`order/${id}`).value, ...changes };
      rows.set(`order/${id}`, { value, version });
    }
  },
};

function push(state, { clientGroupID, mutations }) {
  state.version += 1;
  for (const { clientID, id, name, args } of mutations) {
    const client = state.clients.get(clientID) ?? { clientGroupID, last: 0 };
    if (id !== client.last + 1) continue;
    mutators[name](state, args);
    state.clients.set(clientID, { clientGroupID, last: id, version: state.version });
  }
  return {};
}

function pull(state, { clientGroupID, cookie }) {
  const since = cookie ?? 0;
  const patch = [];
  for (const [key, { value, version }] of state.rows) if (version > since) patch.push({ op: "put", key, value });
  const mine = [...state.clients].filter(
    ([, client]) => client.clientGroupID === clientGroupID && client.version > since,
  );
  const lastMutationIDChanges = Object.fromEntries(mine.map(([id, { last }]) => [id, last]));
  return { cookie: state.version, lastMutationIDChanges, patch };
}
