/** The server of a test: what a test does with it, and what it can look at. */
import { TidewireError } from "../errors.js";
import type { JsonObject } from "../json.js";
import { clientConfig, partsOf } from "../options.js";
import { toPointer } from "../path.js";
import type { Collections } from "../types.js";
import { Authority } from "./authority.js";
import { Clock, LIMIT_MS, type TestClock } from "./clock.js";
import { asked, Desk, type TestRequest, type TestRules } from "./desk.js";
import { Device, type TestDevice } from "./device.js";
import { Switches, type Faults } from "./faults.js";
import { loadModules } from "./modules.js";

/** What a server is made with. */
export interface TestServerOptions<C extends Collections = Collections> extends TestRules {
  /** Those of the app: the server settles conflicts as they say, and knows their natural keys and references. */
  readonly collections: C;
  /** What the clock shows at first: 2026-01-01T00:00:00Z, unless said otherwise. */
  readonly now?: number;
  /** Of all that is random: ids, jitter. */
  readonly seed?: number;
}

/** A copy of what the server holds. */
export interface Snapshot {
  readonly number: number;
}

/** A row on the server. */
export type ServerRow = JsonObject & { readonly id: string };

/** A server, as a test sees it. Its faults are those of all devices. */
export interface TestServer<C extends Collections = Collections> extends Faults {
  readonly clock: TestClock;
  /** What was asked so far, the newest last. */
  readonly requests: readonly TestRequest[];
  /** A device of this name; `user` unless somebody signs in. The same one each time. */
  device(name: string, options?: { readonly user?: string | null }): TestDevice;
  /**
   * Moves the clock on until nothing is left to do: every device is in step, offline or paused. Rejects when that is
   * not so within `limitMs` of the clock.
   */
  settled(limitMs?: number): Promise<void>;
  /** What the server holds, in the order of the ids. */
  rows(collection: keyof C & string): readonly ServerRow[];
  row(collection: keyof C & string, id: string): ServerRow | undefined;
  /** Copies what it holds. */
  snapshot(): Snapshot;
  /** Goes back to a copy, as a server that was restored from a backup: devices send again what it lost. */
  restore(snapshot: Snapshot): void;
  /** Loses everything. */
  reset(): void;
  /** Forgets what was deleted, so that devices that were away read everything again. */
  forgetDeletions(): void;
  /** Other rules from now on; every device reads everything again. */
  setRules(rules: TestRules): void;
  /** Closes all databases, and gives the SDK its own clock back. */
  close(): Promise<void>;
}

/** The SDK has one clock in each process. */
let running: Server<Collections> | undefined;

/** Makes a server. One at a time: close it before the next. */
export async function createTestServer<const C extends Collections>(
  options: TestServerOptions<C>,
): Promise<TestServer<C>> {
  const wasm = await loadModules();
  if (running !== undefined)
    throw new TidewireError("bad-config", "A test server is running: `await server.close()` before the next one.");
  const server = new Server<C>(options, wasm);
  running = server as unknown as Server<Collections>;
  return server;
}

const BEGIN_MS = Date.UTC(2026, 0, 1);

/** See {@link TestServer}. */
class Server<C extends Collections> extends Switches implements TestServer<C> {
  readonly clock: Clock;
  readonly #authority: Authority;
  readonly #desk: Desk;
  readonly #devices = new Map<string, Device>();
  readonly #wasm: Awaited<ReturnType<typeof loadModules>>;
  #rules: TestRules;

  constructor(options: TestServerOptions<C>, wasm: Awaited<ReturnType<typeof loadModules>>) {
    super(
      () => this.#each((device) => device.cutAll(1006)),
      (code) => this.#each((device) => device.cutAll(code)),
      () => {
        this.#desk.expire();
      },
    );
    this.#rules = options;
    this.#wasm = wasm;
    const rules = {
      refuse: (edit: string) => asked(this.#rules).refuse(edit),
      readers: (entity: string) => asked(this.#rules).readers(entity),
    };
    const settings = JSON.stringify(settingsOf(options.collections));
    const authority = Authority.make(settings, JSON.stringify(relationsOf(options.collections)), rules);
    if (authority === undefined) throw new TidewireError("bad-config", "The server cannot read these collections.");
    this.#authority = authority;
    this.clock = new Clock(options.now ?? BEGIN_MS, options.seed ?? 1);
    this.#desk = new Desk(authority, this.clock);
  }

  get requests(): readonly TestRequest[] {
    return this.#desk.requests;
  }

  device(name: string, { user = "tester" }: { readonly user?: string | null } = {}): TestDevice {
    const known = this.#devices.get(name);
    if (known !== undefined) return known;
    const lab = { wasm: this.#wasm, clock: this.clock, desk: this.#desk, faults: this };
    const device = new Device(name, user, lab);
    this.#devices.set(name, device);
    return device;
  }

  async settled(limitMs = LIMIT_MS): Promise<void> {
    const unrest = (): string[] => {
      const all = [...this.#devices.values()].map((device) => [device.name, device.unrest()] as const);
      return all.filter(([, why]) => why !== undefined).map(([name, why]) => `${name}: ${why}`);
    };
    if (await this.clock.run(() => unrest().length === 0, limitMs)) return;
    throw new Error(`Not settled after ${limitMs} ms of the test's clock. ${unrest().join("; ")}.`);
  }

  rows(collection: keyof C & string): readonly ServerRow[] {
    return this.#desk.rows(collection).map(({ id, doc }) => ({ id, ...doc }));
  }

  row(collection: keyof C & string, id: string): ServerRow | undefined {
    return this.rows(collection).find((row) => row.id === id);
  }

  snapshot(): Snapshot {
    return { number: this.#authority.back_up() };
  }

  restore({ number }: Snapshot): void {
    if (!this.#authority.restore(number)) throw new TidewireError("bad-value", "This server made no such snapshot.");
    this.#desk.tellAll();
  }

  reset(): void {
    this.#authority.clear();
    this.#desk.tellAll();
  }

  forgetDeletions(): void {
    this.#authority.prune();
  }

  setRules(rules: TestRules): void {
    this.#rules = rules;
    this.#authority.changePolicy();
    this.#desk.tellAll();
  }

  async close(): Promise<void> {
    if ((running as unknown) !== this) return;
    try {
      for (const device of this.#devices.values()) await device.close();
    } finally {
      running = undefined;
      this.clock.stop();
      this.#authority.free();
    }
  }

  #each(work: (device: Device) => void): void {
    for (const device of this.#devices.values()) work(device);
  }
}

/** How the server settles concurrent writes: as the app's collections say. */
function settingsOf(collections: Collections): JsonObject {
  const { collections: all } = clientConfig({ name: "settings" }, partsOf(collections));
  const kept = Object.entries(all).map(([name, { conflict, fields, onDeleteConflict }]) => {
    const known = Object.entries({ conflict, fields, onDeleteConflict }).filter(([, value]) => value !== undefined);
    return [name, Object.fromEntries(known)];
  });
  return Object.fromEntries(kept) as JsonObject;
}

/** What is the same thing, and what follows from a deletion: as the app's collections say. */
function relationsOf(collections: Collections): object {
  const all = [...partsOf(collections)];
  return {
    keys: all.flatMap(([of, { options }]) =>
      (options.naturalKey ?? []).map((key) => ({ of, fields: key.map(toPointer) })),
    ),
    references: all.flatMap(([from, { options }]) =>
      Object.entries(options.refs ?? {}).flatMap(([path, { to, onDelete }]) =>
        onDelete === undefined ? [] : [{ from, path: toPointer(path), to, onDelete }],
      ),
    ),
  };
}
