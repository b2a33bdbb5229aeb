/**
 * The one door to the generated bindings.
 *
 * The bindings keep one WebAssembly instance per page, which every database of the page shares. After a trap that
 * instance is dead for all of them: whoever sees it reports it here with the generation that it was opened in, and the
 * first report of a generation lets go of what all its clients hold of the browser. The next client resets the
 * bindings. No timer, promise or event calls into the module past its host, so every trap is seen.
 */
import { TidewireError } from "../errors.js";
import { Host } from "../host/host.js";
import { hasStore } from "../host/store.js";
import { loadModule, type WasmSource } from "./load.js";
import type { ClientConfig, WireClient, WireHost } from "./wire.js";

/** A client and the generation of the instance that it lives in. */
export interface LoadedClient {
  readonly client: WireClient;
  readonly generation: number;
}

/** Makes clients; tests put their own in its place. */
export interface ClientFactory {
  create(config: string, host: WireHost): Promise<LoadedClient>;
  /** Whether the store of this configuration may be there. */
  stored(config: ClientConfig): Promise<boolean>;
  /** The instance of `generation` trapped: nobody may use it again. */
  trapped(generation: number): void;
  /** Calls back once per instance that trapped, whoever saw it first. */
  onTrap(fn: (generation: number) => void): () => void;
}

type Bindings = typeof import("./tidewire.js");

let bindings: Promise<Bindings> | undefined;
let generation = 0;
let dead = -1;

const listeners = new Set<(generation: number) => void>();
/** The hosts of the present generation that may hold something. */
const hosts = new Set<Host>();

/** The real factory. */
export function wasmFactory(source: WasmSource | undefined): ClientFactory {
  return {
    async create(config, owner) {
      const { Client } = await load(source);
      const mine = generation;
      const host = new Host(Client, config, owner, {
        trapped: () => report(mine),
        over: () => hosts.delete(host),
      });
      hosts.add(host);
      return { client: host, generation: mine };
    },
    stored: ({ name }) => hasStore(name),
    trapped: report,
    onTrap(fn) {
      listeners.add(fn);
      return () => listeners.delete(fn);
    },
  };
}

function report(which: number): void {
  if (which <= dead) return;
  dead = which;
  for (const host of [...hosts]) host.abandon();
  for (const listener of [...listeners]) listener(which);
}

async function load(source: WasmSource | undefined): Promise<Bindings> {
  bindings ??= start(source);
  try {
    const loaded = await bindings;
    if (dead === generation) {
      generation += 1;
      loaded.__wbg_reset_state();
    }
    return loaded;
  } catch (error) {
    bindings = undefined;
    throw error;
  }
}

async function start(source: WasmSource | undefined): Promise<Bindings> {
  const [module, loaded] = await Promise.all([loadModule(source), importBindings()]);
  await loaded.default({ module_or_path: module });
  return loaded;
}

async function importBindings(): Promise<Bindings> {
  try {
    return await import("./tidewire.js");
  } catch (cause) {
    throw new TidewireError(
      "wasm-load",
      "The bindings of the WebAssembly module were not found: is the package complete?",
      { cause },
    );
  }
}
