/** What the tabs of a device share: stores, the leader's locks, channels, and what is believed of the network. */
import type { Net } from "../host/net.js";
import { Memory } from "../host/memory.js";
import { Failure } from "../host/request.js";
import type { Reply, Seal, Store } from "../host/store.js";
import type { Surroundings } from "../host/surroundings.js";
import { time } from "../env.js";

/** Names of stores have the tab in front, so that each tab has a database of its own in this process. */
const TAB = /^([^~]*)~\d+~/;

/** The name that a store has on its device. */
export function storeName(name: string): string {
  return name.replace(TAB, "$1");
}

/** The disk of a device. */
export class Disk {
  /** No append finds room. */
  full = false;
  readonly #stores = new Map<string, Memory>();

  has(name: string): boolean {
    return this.#stores.has(storeName(name));
  }

  /** A store as one tab has it open. What only this tab keeps in memory goes with it. */
  open(name: string, kind: Store["kind"]): Store {
    const own = storeName(name);
    const memory = (kind === "memory" ? undefined : this.#stores.get(own)) ?? new Memory();
    if (kind === "memory") return memory;
    this.#stores.set(own, memory);
    return new OnDisk(memory, this, () => this.#stores.delete(own));
  }
}

/** A store that outlives its tab, with the answers of the one in IndexedDB. */
class OnDisk implements Store {
  readonly kind = "indexeddb";

  constructor(
    private readonly memory: Memory,
    private readonly disk: Disk,
    private readonly gone: () => void,
  ) {}

  load = (): Promise<Reply> => this.memory.load();
  readLog = (after: number): Promise<Reply> => this.memory.readLog(after);
  readSegments = (keys: readonly number[]): Promise<Reply> => this.memory.readSegments(keys);
  append = (records: readonly Uint8Array[]): Promise<Reply> => this.#write(() => this.memory.append(records));
  seal = (seal: Seal): Promise<Reply> => this.#write(() => this.memory.seal(seal));
  clean = (fence: number, victims: readonly number[], parts: readonly Uint8Array[]): Promise<Reply> =>
    this.#write(() => this.memory.clean(fence, victims, parts));

  async erase(): Promise<void> {
    await this.memory.erase();
    this.gone();
  }

  close(): void {
    // The next tab finds what is here.
  }

  async #write(work: () => Promise<Reply>): Promise<Reply> {
    if (this.disk.full) throw new Failure("quota");
    return work();
  }
}

interface Waiting {
  readonly grant: () => Promise<unknown>;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** Web Locks, as far as the SDK uses them: one holder, a line, and stealing. */
class Locks {
  readonly #held = new Map<string, Waiting>();
  readonly #line = new Map<string, Waiting[]>();

  request = (name: string, options: LockOptions, grant: (lock: Lock | null) => Promise<unknown>): Promise<void> =>
    new Promise((resolve, reject) => {
      const mine: Waiting = { grant: () => grant(null), resolve: () => resolve(), reject };
      if (options.steal === true) {
        this.#held.get(storeName(name))?.reject(new Error("stolen"));
        return this.#give(storeName(name), mine);
      }
      const line = this.#line.get(storeName(name)) ?? [];
      this.#line.set(storeName(name), line);
      line.push(mine);
      options.signal?.addEventListener("abort", () => {
        const at = line.indexOf(mine);
        if (at < 0) return;
        line.splice(at, 1);
        reject(new Error("aborted"));
      });
      if (!this.#held.has(storeName(name))) this.#nextOf(storeName(name));
    });

  #nextOf(name: string): void {
    const next = this.#line.get(name)?.shift();
    if (next !== undefined) this.#give(name, next);
  }

  #give(name: string, to: Waiting): void {
    this.#held.set(name, to);
    const over = (): void => {
      to.resolve();
      if (this.#held.get(name) !== to) return;
      this.#held.delete(name);
      this.#nextOf(name);
    };
    queueMicrotask(() => void to.grant().then(over, over));
  }
}

/** A channel between the tabs of a device. */
class Channel {
  onmessage: ((event: { readonly data: unknown }) => void) | null = null;

  constructor(private readonly all: Set<Channel>) {
    all.add(this);
  }

  postMessage(data: unknown): void {
    for (const other of this.all) if (other !== this) time.after(() => other.onmessage?.({ data }));
  }

  close(): void {
    this.all.delete(this);
    this.onmessage = null;
  }
}

/** The browser of a device, which all its tabs share. */
export class Browser implements Surroundings {
  readonly #locks = new Locks();
  readonly #channels = new Map<string, Set<Channel>>();
  readonly #listening = new Set<{ readonly online: (is: boolean) => void; readonly visible: (is: boolean) => void }>();
  #online = true;
  #visible = true;

  constructor(readonly net: () => Net) {}

  get isOnline(): boolean {
    return this.#online;
  }

  setOnline(is: boolean): void {
    this.#online = is;
    for (const { online } of [...this.#listening]) online(is);
  }

  setVisible(is: boolean): void {
    this.#visible = is;
    for (const { visible } of [...this.#listening]) visible(is);
  }

  locks(): LockManager {
    return this.#locks as unknown as LockManager;
  }

  channel(name: string): BroadcastChannel {
    const own = storeName(name);
    const all = this.#channels.get(own) ?? new Set();
    this.#channels.set(own, all);
    return new Channel(all) as unknown as BroadcastChannel;
  }

  listen(signal: AbortSignal, online: (is: boolean) => void, visible: (is: boolean) => void): void {
    const mine = { online, visible };
    this.#listening.add(mine);
    signal.addEventListener("abort", () => this.#listening.delete(mine));
    online(this.#online);
    if (!this.#visible) visible(false);
  }
}
