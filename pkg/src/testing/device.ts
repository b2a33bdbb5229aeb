/** A device of a test: a disk, a browser with tabs, and a user. */
import { openWith, SESSION, type Db } from "../db.js";
import type { DbOptions } from "../options.js";
import type { Session } from "../session.js";
import type { SyncView } from "../status.js";
import type { Collections } from "../types.js";
import { wasmFactory, type ClientFactory } from "../wasm/client.js";
import type { WasmOption } from "../wasm/load.js";
import type { Clock } from "./clock.js";
import type { Desk } from "./desk.js";
import { Switches, type Faults } from "./faults.js";
import { Link } from "./link.js";
import { Browser, Disk } from "./tabs.js";

/** A device, as a test sees it. Its faults are about it alone. */
export interface TestDevice extends Faults {
  readonly name: string;
  /** Whom `auth` gives tokens for while nobody has signed in; null: nobody. */
  user: string | null;
  /**
   * Opens a database as `openDb` does, in a tab of its own: what was stored on this device before is there. `url`,
   * `auth`, `storage` and `encrypt` of the options are the kit's.
   */
  open<const C extends Collections>(options: DbOptions<C>): Db<C>;
  /** Sends what waits and reads what is new; rejects as `db.sync.now()` does, for instance `offline`. */
  sync(): Promise<void>;
  /** Whether anybody looks at its pages. */
  setVisible(visible: boolean): void;
  /** Whether its disk takes nothing more. */
  setFull(full: boolean): void;
  /** Closes its tabs. What is stored stays. */
  close(): Promise<void>;
}

/** What all devices of a test share. */
export interface Lab {
  readonly wasm: WasmOption;
  readonly clock: Clock;
  readonly desk: Desk;
  readonly faults: Switches;
}

/** Why a device is not at rest. */
export interface Unrest {
  readonly device: string;
  readonly why: string;
}

const URL = "https://sync.test";
let tabs = 0;

interface Tab {
  readonly db: Db<Collections>;
  readonly links: Link[];
}

/** See {@link TestDevice}. */
export class Device extends Switches implements TestDevice {
  readonly #disk = new Disk();
  readonly #tabs = new Set<Tab>();
  readonly #browser: Browser;
  #opening: Link[] = [];

  constructor(
    readonly name: string,
    public user: string | null,
    private readonly lab: Lab,
  ) {
    const browser = new Browser(() => {
      const link = new Link(name, lab.desk, lab.clock, [this, lab.faults]);
      this.#opening.push(link);
      return link;
    });
    super(
      (online) => {
        browser.setOnline(online);
        if (!online) this.cutAll(1006);
      },
      (code) => this.cutAll(code),
      () => lab.desk.expire(this.users()),
    );
    this.#browser = browser;
  }

  open<const C extends Collections>(options: DbOptions<C>): Db<C> {
    tabs += 1;
    const { url: _url, backend: _backend, encrypt: _encrypt, wasm: _wasm, ...rest } = options;
    const links: Link[] = [];
    const settings = {
      ...rest,
      name: `~${tabs}~${options.name}`,
      storage: "indexeddb" as const,
      url: URL,
      auth: (_why: unknown, user: string | null) => {
        const whose = user ?? this.user;
        return whose === null ? null : this.lab.desk.tokenFor(whose);
      },
    };
    const db = openWith(settings as unknown as DbOptions<Collections>, this.#factory(links));
    const tab = { db, links };
    this.#tabs.add(tab);
    return db as unknown as Db<C>;
  }

  async sync(): Promise<void> {
    const all = [...this.#tabs].filter(({ db }) => !sessionOf(db).closed).map(({ db }) => db.sync.now());
    await this.lab.clock.until(Promise.all(all));
  }

  setVisible(visible: boolean): void {
    this.#browser.setVisible(visible);
  }

  setFull(full: boolean): void {
    this.#disk.full = full;
  }

  async close(): Promise<void> {
    const closing = [...this.#tabs].map(({ db }) => db.close());
    this.#tabs.clear();
    await this.lab.clock.until(Promise.allSettled(closing));
  }

  /** Breaks the channels of all tabs. */
  cutAll(code: number): void {
    for (const { links } of this.#tabs) for (const link of links) link.cut(code);
  }

  /** Whose tokens its tabs have. */
  users(): Set<string> {
    const signedIn = [...this.#tabs].map(({ db }) => sessionOf(db).user ?? this.user);
    return new Set(signedIn.filter((user) => user !== null));
  }

  /** Why this device is not at rest, if it is not. */
  unrest(): string | undefined {
    for (const tab of this.#tabs) {
      const session = sessionOf(tab.db);
      if (session.closed) this.#tabs.delete(tab);
      else if (tab.links.some(({ busy }) => busy > 0)) return "something is on its way";
      else if (session.ready) {
        const why = unrestOf(session.status.current(), tab.links, this.lab.desk.newest());
        if (why !== undefined) return why;
      }
    }
    return undefined;
  }

  #factory(links: Link[]): ClientFactory {
    const base = wasmFactory(this.lab.wasm, async (name, kind) => this.#disk.open(name, kind));
    const surroundings = this.#browser;
    return {
      create: (config, host) => {
        const made = base.create(config, { ...host, surroundings });
        links.push(...this.#opening.splice(0));
        return made.finally(() => links.push(...this.#opening.splice(0)));
      },
      stored: async ({ name }) => this.#disk.has(name),
      trapped: (generation) => base.trapped(generation),
      onTrap: (fn) => base.onTrap(fn),
      get isWhole() {
        return base.isWhole;
      },
      whole: () => base.whole(),
    };
  }
}

function sessionOf(db: Db<Collections>): Session {
  return (db as unknown as { readonly [SESSION]: Session })[SESSION];
}

/** Offline and paused are states of rest, and so is to be in step with a server that has nothing new. */
function unrestOf(status: SyncView, links: readonly Link[], newest: number): string | undefined {
  if (status.state === "connecting" || status.state === "syncing") return `it is ${status.state}`;
  if (status.state === "offline" && links.some(({ isOnline }) => isOnline)) return "it has not tried again yet";
  if (status.state !== "synced" || status.leader === false) return undefined;
  return links.some(({ told }) => told >= newest) ? undefined : "it has not heard of everything";
}
