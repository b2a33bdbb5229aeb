/** A store in memory, with the answers of the one in IndexedDB. It is one page's alone and ends with it. */
import { APPENDED, LOADED, LOG, REFUSED, SEGMENTS, WRITTEN } from "./module.js";
import type { Part, Reply, Seal, Store } from "./store.js";

/** See the module's text. A map keeps its keys in the order in which they came, and a new key is the highest. */
export class Memory implements Store {
  readonly kind = "memory";
  #log = new Map<number, Uint8Array>();
  #segments = new Map<number, Uint8Array>();
  #directories = new Map<number, Uint8Array>();
  #lastLog = 0;
  #lastSegment = 0;
  #state: Uint8Array | undefined;
  #upto = 0;
  #fence = 0;

  async load(): Promise<Reply> {
    const directories = [...this.#directories];
    const parts: Part[] = [[0, this.#state], ...directories, ...this.#logAbove(this.#upto)];
    return { answer: LOADED, number: this.#fence, parts, directories: directories.length };
  }

  async readLog(after: number): Promise<Reply> {
    return { answer: LOG, parts: this.#logAbove(after) };
  }

  async readSegments(keys: readonly number[]): Promise<Reply> {
    return { answer: SEGMENTS, parts: keys.map((key) => [key, this.#segments.get(key)]) };
  }

  async append(records: readonly Uint8Array[]): Promise<Reply> {
    const number = this.#lastLog + 1;
    for (const record of records) this.#log.set((this.#lastLog += 1), record);
    return { answer: APPENDED, number };
  }

  async seal({ expect, upto, fence, parts: [record, state, ...segments] }: Seal): Promise<Reply> {
    if (this.#lastLog + 1 !== expect) return { answer: REFUSED };
    await this.append([record as Uint8Array]);
    this.#state = state;
    this.#upto = upto;
    this.#fence = fence;
    for (const key of this.#log.keys()) if (key <= upto) this.#log.delete(key);
    return this.#add(segments);
  }

  async clean(fence: number, victims: readonly number[], parts: readonly Uint8Array[]): Promise<Reply> {
    if (this.#fence !== fence || victims.some((key) => !this.#segments.has(key))) return { answer: REFUSED };
    for (const key of victims) {
      this.#segments.delete(key);
      this.#directories.delete(key);
    }
    return this.#add(parts);
  }

  async erase(): Promise<void> {
    for (const table of [this.#log, this.#segments, this.#directories]) table.clear();
    this.#state = undefined;
    this.#lastLog = this.#lastSegment = this.#upto = this.#fence = 0;
  }

  close(): void {
    // Nothing is held.
  }

  #logAbove(after: number): Part[] {
    return [...this.#log].filter(([key]) => key > after);
  }

  #add(parts: readonly Uint8Array[]): Reply {
    const keys: Part[] = [];
    for (let at = 0; at < parts.length; at += 2) {
      this.#lastSegment += 1;
      this.#segments.set(this.#lastSegment, parts[at] as Uint8Array);
      this.#directories.set(this.#lastSegment, parts[at + 1] as Uint8Array);
      keys.push([this.#lastSegment]);
    }
    return { answer: WRITTEN, parts: keys };
  }
}
