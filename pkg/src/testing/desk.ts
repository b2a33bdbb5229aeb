/**
 * The server's side: tokens, the authority, who listens, and what was asked. It decides nothing about data: that is
 * the module of `testing/src`, which is the authority of the real server.
 */
import type { Json, JsonObject } from "../json.js";
import { toPointer } from "../path.js";
import type { Authority } from "./authority.js";
import type { Clock } from "./clock.js";
import type { Refusal, Traffic } from "./faults.js";

/** What a request came to. */
export interface Reply {
  readonly status: number;
  readonly body: string;
  readonly retryAfterMs?: number | undefined;
  /** The newest commit when it was answered. */
  readonly newest: number;
}

/** A request that a device made, for a test to look at. */
export interface TestRequest {
  /** When it was answered, or lost. */
  readonly at: number;
  readonly device: string;
  readonly of: Traffic;
  /** Small pushes travel on the live channel. */
  readonly via: "request" | "channel";
  /** Not there: it never arrived, or its answer was lost. */
  readonly status?: number | undefined;
  /** What went wrong by the test's will. */
  readonly fault?: string | undefined;
}

/** An edit that a rule is asked about. */
export interface TestEdit {
  readonly user: string;
  readonly collection: string;
  readonly id: string;
  /** What stands; null where there is nothing. */
  readonly before: JsonObject | null;
  /** What it would become; null where it is deleted. */
  readonly after: JsonObject | null;
}

/** Why an edit may not be. `path` is typed as in `update`. */
export interface TestRefusal {
  /** Of `docs/ERRORS.md`; `invalid` unless said otherwise. */
  readonly code?: string;
  readonly message?: string;
  readonly path?: string;
}

/** The server's rules. They are pure, synchronous, and call nothing of the kit. */
export interface TestRules {
  /** Whether an edit may be: `false` (`forbidden`), a message, or a refusal is why not. */
  readonly allow?: (edit: TestEdit) => boolean | undefined | string | TestRefusal;
  /** The users who see an entity; undefined: everybody. */
  readonly readers?: (entity: { collection: string; id: string; doc: JsonObject }) => readonly string[] | undefined;
}

/** What stands on the server. */
export interface StoredRow {
  readonly id: string;
  readonly rev: number;
  readonly doc: JsonObject;
}

type Joined =
  | { readonly code: string }
  | { readonly code?: undefined; readonly number: number; readonly ready: string };

/** See the module's text. */
export class Desk {
  readonly requests: TestRequest[] = [];
  readonly #users = new Map<string, string>();
  readonly #looking = new Map<number, () => void>();
  #tokens = 0;
  #sockets = 0;

  constructor(
    private readonly authority: Authority,
    private readonly clock: Clock,
  ) {}

  /** A token of this user's. */
  tokenFor(user: string): string {
    this.#tokens += 1;
    const token = `${user}#${this.#tokens}`;
    this.#users.set(token, user);
    return token;
  }

  userOf(token: string | undefined): string | undefined {
    return token === undefined ? undefined : this.#users.get(token);
  }

  /** Whether a token of this user's is good. */
  isUser(user: string): boolean {
    return [...this.#users.values()].includes(user);
  }

  /** Takes tokens back: of these users, or all. */
  expire(of?: ReadonlySet<string>): void {
    for (const [token, user] of [...this.#users]) if (of?.has(user) !== false) this.#users.delete(token);
  }

  note(request: Omit<TestRequest, "at">): void {
    this.requests.push({ at: this.clock.now, ...request });
  }

  /** What a request with a token comes to. */
  answer(path: string, body: string | undefined, bearer: string | undefined): Reply {
    const user = this.userOf(bearer);
    if (user === undefined) return this.refuse({ code: "unauthorized", status: 401 });
    return this.answerTo(user, path.split("/").map(decodeURIComponent).join("\n"), body ?? "");
  }

  answerTo(user: string, path: string, body: string): Reply {
    const text = this.authority.answer(user, path, body, this.clock.now);
    if (path === "push") this.tellAll();
    const end = text.indexOf("\n");
    return { status: Number(text.slice(0, end)), body: text.slice(end + 1), newest: this.newest() };
  }

  refuse({ code = "server-error", status = 503, message = "", retryAfterMs }: Refusal): Reply {
    return { status, body: JSON.stringify({ code, message }), retryAfterMs, newest: 0 };
  }

  /** A channel begins to listen. */
  join(user: string, auth: string, look: () => void): Joined {
    this.#sockets += 1;
    const number = this.#sockets;
    const text = this.authority.subscribe(number, user, auth, this.clock.now);
    const end = text.indexOf("\n");
    const body = text.slice(end + 1);
    if (text.slice(0, end) !== "200") return { code: (JSON.parse(body) as { code: string }).code };
    this.#looking.set(number, look);
    return { number, ready: body };
  }

  leave(number: number): void {
    this.#looking.delete(number);
    this.authority.unsubscribe(number);
  }

  frame(number: number): string | undefined {
    return this.authority.frame(number);
  }

  toldTo(number: number): number {
    return this.authority.seq(number);
  }

  newest(): number {
    return this.authority.newest();
  }

  /** Whoever listens looks whether there is something to tell. */
  tellAll(): void {
    for (const look of [...this.#looking.values()]) look();
  }

  rows(collection: string): readonly StoredRow[] {
    return JSON.parse(this.authority.rows(collection)) as StoredRow[];
  }
}

/** What the authority asks, put to the rules of the test. */
export function asked({ allow, readers }: TestRules): { refuse(e: string): string | undefined } & {
  readers(e: string): string | undefined;
} {
  return {
    refuse(text) {
      const answer = allow?.(JSON.parse(text) as TestEdit);
      if (answer === undefined || answer === true) return undefined;
      const refusal: TestRefusal =
        answer === false ? { code: "forbidden" } : typeof answer === "string" ? { message: answer } : answer;
      const { code = "invalid", message = "a rule of this test refuses it", path } = refusal;
      return JSON.stringify({ code, message, ...(path !== undefined && { path: toPointer(path) }) } satisfies Json);
    },
    readers(text) {
      return readers?.(JSON.parse(text) as Parameters<NonNullable<typeof readers>>[0])?.join("\n");
    },
  };
}
