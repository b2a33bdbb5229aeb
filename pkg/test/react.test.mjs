import assert from "node:assert/strict";
import { after, test } from "node:test";
import { GlobalWindow } from "happy-dom";
import { createElement as h, StrictMode, useState } from "react";
import { renderToString } from "react-dom/server";
import { openDb } from "../dist/index.js";
import { useEntity, useLiveQuery, useSyncStatus } from "../dist/react/index.js";
import { settled } from "./fake.mjs";
import { open, todo } from "./open.mjs";

let renders = 0;

// What a server renders is made before there is a window, as it is there.
const serverDb = openDb({ name: "server", url: "https://x.example", collections: { todos: todo } });
const initial = [
  {
    id: "a",
    title: "from the server",
    done: false,
    votes: 0,
    tags: [],
    $sync: { status: "synced" },
    $rev: 1,
    $updatedAt: 1,
  },
];
const serverHtml = renderToString(h(StrictMode, null, h(List, { db: serverDb, initial })));

const window = new GlobalWindow();
Object.assign(globalThis, { window, document: window.document, IS_REACT_ACT_ENVIRONMENT: true });
Object.defineProperty(globalThis, "navigator", { value: window.navigator, configurable: true });
for (const name of ["HTMLElement", "HTMLIFrameElement", "Event", "Node"]) globalThis[name] ??= window[name];
const { createRoot, hydrateRoot } = await import("react-dom/client");
const { act } = await import("react");
after(() => window.happyDOM.close());

function List({ db, initial, where = { done: false } }) {
  renders += 1;
  const { rows, status, error } = useLiveQuery(db.todos.where(where), { initial });
  const sync = useSyncStatus(db);
  return h("p", null, `${status} ${error?.code ?? "-"} ${sync.state} ${rows.map((row) => row.title).join(",")}`);
}

async function mount(element) {
  const host = document.body.appendChild(document.createElement("div"));
  const root = createRoot(host);
  await act(async () => root.render(h(StrictMode, null, element)));
  return { host, root, text: () => host.textContent };
}

const step = (fn = () => undefined) =>
  act(async () => {
    await fn();
    await new Promise((resolve) => setTimeout(resolve, 150));
  });

test("a list goes from loading to its rows, follows changes, and renders only for them", async () => {
  const { db, factory } = open();
  const view = await mount(h(List, { db }));
  await step();
  assert.equal(view.text(), "complete - local ");
  await step(() => db.todos.insert({ title: "a" }));
  assert.equal(view.text(), "complete - local a");
  const before = renders;
  await step(() => factory.client.remote("todos", "x", { title: "x", done: true, votes: 0, tags: [] }));
  assert.equal(renders, before);
  await act(() => view.root.unmount());
});

test("loading is not empty: partial until the first full pull, complete also when it brought nothing", async () => {
  let openGate;
  const { db, factory } = open(
    { openGate: new Promise((resolve) => (openGate = resolve)), status: { state: "syncing" } },
    { url: "https://x.example" },
  );
  const view = await mount(h(List, { db }));
  assert.equal(view.text(), "loading - connecting ");
  openGate();
  await step();
  assert.equal(view.text(), "partial - syncing ");
  factory.client.status = { ...factory.client.status, state: "synced", loaded: ["todos"] };
  await step(() => factory.client.emit([{ type: "loaded", collection: "todos" }]));
  assert.equal(view.text(), "complete - synced ");
  await act(() => view.root.unmount());
});

test("a query written inline is one live result, under StrictMode and across renders", async () => {
  const { db, factory } = open();
  await db.todos.insert({ title: "a" });
  const calls = factory.client.calls.query;
  const view = await mount(
    h("div", null, h(List, { db, where: { done: false } }), h(List, { db, where: { done: false } })),
  );
  await act(async () =>
    view.root.render(
      h(
        StrictMode,
        null,
        h("div", null, h(List, { db, where: { done: false } }), h(List, { db, where: { done: false } })),
      ),
    ),
  );
  assert.equal(factory.client.calls.query, calls + 1);
  assert.equal(view.text(), "complete - local acomplete - local a");
  await act(async () => view.root.render(h(StrictMode, null, h(List, { db, where: { done: true } }))));
  assert.equal(view.text(), "complete - local ");
  await act(() => view.root.unmount());
});

test("hydration starts with what the server sent and then shows what is here", async () => {
  const { db } = open({}, { url: "https://x.example" });
  const host = document.body.appendChild(document.createElement("div"));
  host.innerHTML = serverHtml;
  assert.match(host.textContent, /loading - connecting from the server/);
  const complaints = [];
  let root;
  await act(async () => {
    root = hydrateRoot(host, h(StrictMode, null, h(List, { db, initial })), {
      onRecoverableError: (error) => complaints.push(error.message),
    });
  });
  await step(() => db.todos.insert({ title: "here" }));
  assert.deepEqual(complaints, []);
  assert.equal(host.textContent, "partial - synced here");
  await act(() => root.unmount());
});

test("own writes are shown when the handler returns, so that a controlled input keeps its caret", async () => {
  const { db } = open();
  await db.todos.insert({ title: "a", id: "a" });
  function Input() {
    const { row } = useEntity(db.todos, "a");
    return h("input", {
      value: row.title,
      onChange: (event) => void db.todos.update("a", { title: event.target.value }),
    });
  }
  const view = await mount(h(Input));
  const input = view.host.querySelector("input");
  const { set: type } = Object.getOwnPropertyDescriptor(window.HTMLInputElement.prototype, "value");
  const shown = [];
  globalThis.IS_REACT_ACT_ENVIRONMENT = false; // act() would hold back what React does by itself
  for (const text of ["ab", "abb"]) {
    type.call(input, text);
    input.dispatchEvent(new window.Event("input", { bubbles: true }));
    shown.push(input.value);
    await settled();
  }
  globalThis.IS_REACT_ACT_ENVIRONMENT = true;
  assert.deepEqual(shown, ["ab", "abb"]);
  await act(() => view.root.unmount());
});

test("one entity: its row, its end, another id, and none", async () => {
  const { db } = open();
  await db.todos.insertMany([
    { title: "a", id: "a" },
    { title: "b", id: "b" },
  ]);
  let setId;
  function One() {
    const [id, set] = useState("a");
    setId = set;
    const { row, status } = useEntity(db.todos, id);
    return h("p", null, `${status} ${row?.title}`);
  }
  const view = await mount(h(One));
  assert.equal(view.text(), "complete a");
  await step(() => db.todos.update("a", { title: "c" }));
  assert.equal(view.text(), "complete c");
  await act(() => setId("b"));
  assert.equal(view.text(), "complete b");
  await step(() => db.todos.delete("b"));
  assert.equal(view.text(), "complete undefined");
  await act(() => setId(undefined));
  assert.equal(view.text(), "complete undefined");
  await act(() => view.root.unmount());
});

test("a store that cannot be opened is an error with a code, not an endless loading", async () => {
  const { db } = open({
    openError: () => Object.assign(new Error("x"), { code: "format-newer", retryable: false, hint: "reload" }),
  });
  const view = await mount(h(List, { db }));
  await step();
  assert.equal(view.text(), "error format-newer paused ");
  await act(() => view.root.unmount());
});

test("many own writes in one task are told twice, not each", async () => {
  const { db, factory } = open();
  await db.todos.insert({ title: "a" });
  const view = await mount(h(List, { db }));
  const before = renders;
  const queries = factory.client.calls.query;
  await step(() => {
    for (let n = 0; n < 100; n += 1) db.todos.insert({ title: `t${n}` });
  });
  assert.ok(renders - before <= 6, `${renders - before} renders`);
  assert.ok(factory.client.calls.query - queries <= 4, `${factory.client.calls.query - queries} queries`);
  assert.equal(view.text().split(",").length, 101);
  await act(() => view.root.unmount());
});
