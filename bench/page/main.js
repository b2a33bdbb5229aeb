/**
 * The page of the benchmark: it holds one open store and carries out steps on it. The steps know nothing of any
 * library, and the adapters nothing of any step. Each step makes its documents before its clock starts and checks the
 * results after it has stopped.
 */
import * as reads from "./reads.js";
import * as sync from "./sync.js";
import * as writes from "./writes.js";

const adapters = import.meta.glob("../adapters/*.js");

/** What the steps share. */
const state = { store: undefined, adapter: undefined };

/** Loads an adapter's module and opens its store; counts as work of the library in every figure that includes it. */
state.open = async ({ adapter, ...options }) => {
  state.adapter = await adapters[`../adapters/${adapter}.js`]();
  state.store = await state.adapter.open({ name: "bench", ...options });
  return state.store;
};

const steps = {
  ...reads,
  ...writes,
  ...sync,
  about: async (_, { adapter }) => (await adapters[`../adapters/${adapter}.js`]()).about,
  open: async (_, options) => void (await state.open(options)),
  /** Waits until the store has done the work that it puts off, such as sealing its log. */
  settle: async () => void (await state.store.settled?.()),
  can: async (_, { what }) => typeof state.store[what] === "function",
};

/** Bytes that the page gave to IndexedDB as buffers, for write amplification. */
const written = { bytes: 0 };
for (const method of ["put", "add"]) {
  const original = IDBObjectStore.prototype[method];
  IDBObjectStore.prototype[method] = function (value, ...rest) {
    if (ArrayBuffer.isView(value)) written.bytes += value.byteLength;
    return original.call(this, value, ...rest);
  };
}
state.written = written;

/** Waits until the page has nothing to do: what came before must not fall into the time of what comes. */
async function quiet() {
  for (let turn = 0; turn < 3; turn += 1) {
    await new Promise((resolve) => requestIdleCallback(resolve, { timeout: 1_000 }));
  }
}

window.bench = async (step, args) => {
  // A cold open begins with the page; everything else begins when the page is at rest.
  if (!args?.atOnce) await quiet();
  return steps[step](state, args ?? {});
};
