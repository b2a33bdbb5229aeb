/**
 * The one door to the wasm module.
 *
 * There is one WebAssembly instance per page, which every database of the page shares. After a trap that instance is
 * dead for all of them: whoever sees it reports it here with the generation that it was opened in, and the first
 * report of a generation lets go of what all its clients hold of the browser. The next client gets a fresh one.
 * No timer, promise or event calls into the module past its host, so every trap is seen.
 */
import { Host } from "../host/host.js";
import { quiet } from "../host/request.js";
import { closeWhenOpen, hasStore, openStore } from "../host/store.js";
import { Instance } from "./bindings.js";
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

let compiled: Promise<WebAssembly.Module> | undefined;
let instance: Instance | undefined;
let generation = 0;

const listeners = new Set<(generation: number) => void>();
/** The hosts of the present generation that may hold something. */
const hosts = new Set<Host>();

/** The real factory. */
export function wasmFactory(source: WasmSource | undefined): ClientFactory {
  return {
    async create(config, owner) {
      const { name, storage } = JSON.parse(config) as ClientConfig;
      const loading = load(source);
      const opening = quiet(openStore(name, storage, owner));
      const fresh = await loading.catch((error: unknown) => {
        closeWhenOpen(opening);
        throw error;
      });
      const mine = generation;
      const host = new Host(fresh, config, opening, owner, {
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
  if (which < generation || instance === undefined || instance.dead) return;
  instance.dead = true;
  for (const host of [...hosts]) host.abandon();
  for (const listener of [...listeners]) listener(which);
}

/** The instance of the present generation; a trap begins the next. */
async function load(source: WasmSource | undefined): Promise<Instance> {
  compiled ??= loadModule(source);
  try {
    const module = await compiled;
    if (instance?.dead === true) generation += 1;
    if (instance?.dead !== false) instance = new Instance(module);
    return instance;
  } catch (error) {
    compiled = undefined;
    throw error;
  }
}
