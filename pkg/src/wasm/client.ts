/**
 * The one door to the wasm module.
 *
 * There is one WebAssembly instance per page, which every database of the page shares. After a trap that instance is
 * dead for all of them: whoever sees it reports it here with the generation that it was opened in, and the first
 * report of a generation lets go of what all its clients hold of the browser. The next client gets a fresh one.
 * No timer, promise or event calls into the module past its host, so every trap is seen.
 *
 * The second part of the module is loaded when a database is open. A call that needs it earlier traps, and the next
 * instance has it from the start.
 */
import { Host } from "../host/host.js";
import { quiet } from "../host/request.js";
import { closeWhenOpen, hasStore, openStore } from "../host/store.js";
import { Instance } from "./bindings.js";
import { loadModule, type WasmOption } from "./load.js";
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
  /** Calls back once per instance that trapped, whoever saw it first; `lacking`: for want of the second part. */
  onTrap(fn: (generation: number, lacking: boolean) => void): () => void;
  /** Whether the second part is there, and the promise of it, which has it loaded. */
  readonly isWhole: boolean;
  whole(): Promise<void>;
}

let compiled: Promise<WebAssembly.Module> | undefined;
let instance: Instance | undefined;
let generation = 0;

let loadingMore: Promise<WebAssembly.Module> | undefined;
let more: WebAssembly.Module | undefined;

const listeners = new Set<(generation: number, lacking: boolean) => void>();
/** The hosts of the present generation that may hold something. */
const hosts = new Set<Host>();

/** The real factory. */
export function wasmFactory(source: WasmOption | undefined, open = openStore): ClientFactory {
  const whole = (): Promise<void> => complete(instance, source);
  const make = async (config: string, owner: WireHost): Promise<LoadedClient> => {
    const settings = JSON.parse(config) as ClientConfig;
    const { name, storage } = settings;
    const loading = needsWhole(settings) ? loadWhole : load;
    const first = loading(source);
    const opening = quiet(open(name, storage, owner));
    const failed = (error: unknown): never => {
      closeWhenOpen(opening);
      throw error;
    };
    let fresh = await first.catch(failed);
    // Another database may have ended it meanwhile.
    while (fresh.dead) fresh = await loading(source).catch(failed);
    const mine = generation;
    const host = new Host(fresh, config, opening, owner, {
      trapped: () => report(mine),
      over: () => {
        hosts.delete(host);
        owner.over?.();
      },
      whole,
    });
    hosts.add(host);
    return { client: host, generation: mine };
  };
  return {
    async create(config, owner) {
      const settings = JSON.parse(config) as ClientConfig;
      // Its code is loaded here: most apps need none of it.
      if (settings["sensitive"]) return (await import("../host/sensitive.js")).guard(settings, owner, make, whole);
      return make(config, owner);
    },
    stored: ({ name }) => hasStore(name),
    trapped: report,
    onTrap(fn) {
      listeners.add(fn);
      return () => listeners.delete(fn);
    },
    get isWhole() {
      return instance?.whole === true;
    },
    whole,
  };
}

function report(which: number): void {
  if (which < generation || instance === undefined || instance.dead) return;
  instance.dead = true;
  for (const host of [...hosts]) host.abandon();
  for (const listener of [...listeners]) listener(which, instance.lacks);
}

/** The instance of the present generation; a trap begins the next. */
async function load(source: WasmOption | undefined): Promise<Instance> {
  compiled ??= loadModule(source);
  try {
    const module = await compiled;
    // The one before has shown that nothing works without it.
    if (instance?.lacks === true) await complete(undefined, source);
    if (instance?.dead === true) generation += 1;
    if (instance?.dead !== false) {
      instance = new Instance(module);
      if (more !== undefined) instance.complete(more);
    }
    return instance;
  } catch (error) {
    compiled = undefined;
    throw error;
  }
}

/** Whether reading rows takes the second part: local fields and collections kept in part are there. */
function needsWhole({ collections }: ClientConfig): boolean {
  return Object.values(collections).some((settings) => "local" in settings || "replicate" in settings);
}

/** `load`, with both parts on their way at once. */
async function loadWhole(source: WasmOption | undefined): Promise<Instance> {
  await Promise.all([load(source), complete(undefined, source)]);
  const fresh = await load(source);
  if (more !== undefined) fresh.complete(more);
  return fresh;
}

/** Gives an instance the second part, which is loaded once per page. */
async function complete(to: Instance | undefined, source: WasmOption | undefined): Promise<void> {
  if (to?.whole === true) return;
  loadingMore ??= loadModule(source, "more");
  try {
    more = await loadingMore;
    to?.complete(more);
  } catch (error) {
    loadingMore = undefined;
    throw error;
  }
}
