/**
 * The items of a query: rows, or groups. While somebody watches, the core keeps the query and tells only how its answer
 * changed; else it is asked anew.
 *
 * Invariant: what did not change is the same object, and a list in which nothing changed is the same list.
 */
import type { Json } from "./json.js";
import { sameItems } from "./live.js";
import type { Session } from "./session.js";
import type { WireAnswer, WireClient, WireQuery } from "./wasm/wire.js";

/** See the module's text. */
export class Kept<T> {
  items: readonly T[] = Object.freeze([]);
  total = 0;
  next: string | undefined;
  /** The instance that keeps the query, and the query's number there. */
  #client: WireClient | undefined;
  #handle = 0;

  constructor(
    private readonly session: Session,
    private readonly request: WireQuery,
    /** Makes items of what the core calls them, one for each name, in that order. */
    private readonly make: (names: readonly Json[]) => readonly (T | undefined)[],
  ) {}

  /** Brings the items up to date. `watched`: the core shall keep the query. */
  read(watched: boolean): this {
    const answer = this.#ask(watched);
    const { steps } = answer;
    const fresh = steps === undefined ? present(this.make(answer.items ?? [])) : this.#follow(steps);
    if (!sameItems(this.items, fresh)) this.items = Object.freeze(fresh);
    if (answer.total !== undefined) {
      this.total = answer.total;
      this.next = answer.next;
    }
    return this;
  }

  /** Nobody watches any more. */
  release(): void {
    const client = this.#client;
    this.#client = undefined;
    if (client === undefined || !this.session.ready) return;
    this.session.call((current) => current === client && client.query(JSON.stringify({ drop: this.#handle })));
  }

  #ask(watched: boolean): WireAnswer {
    return this.session.call((client) => {
      const ask = (request: object): WireAnswer => JSON.parse(client.query(JSON.stringify(request))) as WireAnswer;
      if (this.#client === client) return ask({ delta: this.#handle });
      const answer = ask(watched ? { ...this.request, watch: true } : this.request);
      this.#client = answer.handle === undefined ? undefined : client;
      this.#handle = answer.handle ?? 0;
      return answer;
    });
  }

  #follow(steps: NonNullable<WireAnswer["steps"]>): readonly T[] {
    if (steps.length === 0) return this.items;
    // What a step brings a later one may take away; then it is not there any more, and holds a place until then.
    const made = this.make(steps.flatMap((step) => step.slice(2)));
    const items: (T | undefined)[] = [...this.items];
    let used = 0;
    for (const [at, gone, ...come] of steps) items.splice(at, gone, ...made.slice(used, (used += come.length)));
    return present(items);
  }
}

function present<T>(items: readonly (T | undefined)[]): readonly T[] {
  return items.filter((item) => item !== undefined);
}
