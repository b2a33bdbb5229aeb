/**
 * The one door to the generated bindings.
 *
 * The bindings keep one WebAssembly instance per page, which every database of the page shares. After a trap that
 * instance is dead for all of them: each reports it here with the generation that it was opened in, and the first
 * report of a generation resets the bindings.
 */
import { TidewireError } from "../errors.js";
import { loadModule, type WasmSource } from "./load.js";
import type { WireClient, WireHost } from "./wire.js";

/** A client and the generation of the instance that it lives in. */
export interface LoadedClient {
  readonly client: WireClient;
  readonly generation: number;
}

/** Makes clients; tests put their own in its place. */
export interface ClientFactory {
  create(config: string, host: WireHost): Promise<LoadedClient>;
  /** The instance of `generation` trapped: nobody may use it again. */
  trapped(generation: number): void;
  /** Calls back once per instance that trapped, whoever saw it first. */
  onTrap(fn: (generation: number) => void): () => void;
}

type Bindings = typeof import("./tidewire.js");

let bindings: Promise<Bindings> | undefined;
let running: Bindings | undefined;
let generation = 0;
let dead = -1;

const listeners = new Set<(generation: number) => void>();

/** The real factory. */
export function wasmFactory(source: WasmSource | undefined): ClientFactory {
  return {
    async create(config, host) {
      const { Client } = await load(source);
      return { client: new Client(config, host), generation };
    },
    trapped: report,
    onTrap(fn) {
      if (listeners.size === 0) listenForStrayTraps(true);
      listeners.add(fn);
      return () => {
        listeners.delete(fn);
        if (listeners.size === 0) listenForStrayTraps(false);
      };
    },
  };
}

function report(which: number): void {
  if (which <= dead) return;
  dead = which;
  try {
    running?.abandon();
  } catch {
    // The instance is so broken that it cannot even let go; the browser does when the page goes.
  }
  for (const listener of [...listeners]) listener(which);
}

/** A trap in a task of the module's own (a timer, a socket) reaches no caller, only the page's error events. */
function listenForStrayTraps(on: boolean): void {
  const change = on ? globalThis.addEventListener : globalThis.removeEventListener;
  change?.("error", strayTrap);
  change?.("unhandledrejection", strayTrap);
}

function strayTrap(event: Event): void {
  const { error, reason } = event as Event & { error?: unknown; reason?: unknown };
  if ([error, reason].some(isLeftOver)) return event.preventDefault();
  if ([error, reason].some((thrown) => thrown instanceof WebAssembly.RuntimeError)) report(generation);
}

/** A timer or a promise of a replaced instance came due: the bindings refuse it, and nothing is lost. */
function isLeftOver(thrown: unknown): boolean {
  return dead >= 0 && thrown instanceof Error && /previous wasm instance/i.test(thrown.message);
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
  running = loaded;
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
