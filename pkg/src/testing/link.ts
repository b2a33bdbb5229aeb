/**
 * The way between one tab and the server: requests and the live channel, as `host/net.ts` has them over HTTP, in this
 * process. All that travels takes its time by the test's clock, and keeps its order.
 *
 * A push on the channel whose fault is due breaks the channel, as a proxy would: the device then asks by a request.
 */
import type { Answer, Net, Socket, SocketNews } from "../host/net.js";
import type { Clock } from "./clock.js";
import type { Switches, Traffic } from "./faults.js";
import type { Desk, Reply } from "./desk.js";

const BROKEN = 1006;
const encoder = new TextEncoder();

/** See the module's text. Faults are those of this device first, then those of all. */
export class Link implements Net {
  /** What is on its way. */
  busy = 0;
  /** The commit up to which this tab was told everything. */
  told = 0;
  #channel: Channel | undefined;

  constructor(
    readonly device: string,
    readonly desk: Desk,
    readonly clock: Clock,
    private readonly switches: readonly Switches[],
  ) {}

  /** Whether what this tab does not know yet is going to be told without its asking. */
  get listens(): boolean {
    return this.#channel?.subscribed === true;
  }

  get isOnline(): boolean {
    return this.switches.every(({ isOnline }) => isOnline);
  }

  async exchange(
    path: string,
    body: string | undefined,
    bearer: string | undefined,
    signal: AbortSignal,
    answer: Answer,
  ): Promise<void> {
    const of: Traffic = path === "push" || path === "pull" ? path : "fetch";
    const fault = this.#take(of);
    await this.way();
    if (!this.isOnline || fault?.kind === "lose-request") throw this.#lost(of, fault?.kind);
    if (signal.aborted) return;
    const reply = fault?.kind === "refuse" ? this.desk.refuse(fault.refusal) : this.desk.answer(path, body, bearer);
    this.desk.note({ device: this.device, of, via: "request", status: reply.status, fault: fault?.kind });
    if (fault?.kind === "hang") return forever(signal);
    await this.way();
    if (!this.isOnline || fault?.kind === "lose-response") throw this.#lost(of);
    if (signal.aborted) return;
    if (of === "pull" && reply.status === 200) this.told = Math.max(this.told, reply.newest);
    answer.head(reply.status, reply.retryAfterMs, true);
    await answer.piece(encoder.encode(reply.body));
  }

  socket(news: SocketNews): Socket {
    this.#channel?.end();
    this.#channel = new Channel(this, news);
    return this.#channel;
  }

  close(): void {
    this.#channel?.end();
  }

  /** The channel breaks. */
  cut(code: number): void {
    this.#channel?.break(code);
  }

  /** Time passes. */
  way(): Promise<void> {
    return new Promise((resolve) => this.after(resolve));
  }

  after(run: () => void): void {
    this.busy += 1;
    const ms = this.switches.reduce((sum, { delayMs }) => sum + delayMs, 0);
    this.clock.after(() => {
      this.busy -= 1;
      run();
    }, ms);
  }

  /** A push on the channel; nothing comes of one that was lost. */
  pushed(user: string, body: string): Reply | "lost" | "silent" {
    const fault = this.#take("push");
    const lost = (): "lost" => {
      this.desk.note({ device: this.device, of: "push", via: "channel", fault: fault?.kind });
      return "lost";
    };
    if (fault?.kind === "lose-request") return lost();
    const reply = fault?.kind === "refuse" ? this.desk.refuse(fault.refusal) : this.desk.answerTo(user, "push", body);
    if (fault?.kind === "lose-response") return lost();
    this.desk.note({ device: this.device, of: "push", via: "channel", status: reply.status, fault: fault?.kind });
    return fault?.kind === "hang" ? "silent" : reply;
  }

  /** How often the next frame arrives. */
  frames(): number {
    return this.switches.reduce((times, each) => (times === 1 ? each.frame() : times), 1);
  }

  /** Why no channel comes about, if so. */
  refusesChannel(): boolean {
    return !this.isOnline || this.#take("live") !== undefined;
  }

  #take(of: Traffic): ReturnType<Switches["take"]> {
    for (const each of this.switches) {
      const fault = each.take(of);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  #lost(of: Traffic, fault?: string): TypeError {
    if (fault !== undefined) this.desk.note({ device: this.device, of, via: "request", fault });
    return new TypeError("Failed to fetch");
  }
}

/** Until it is given up. */
function forever(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
}

/** One live channel. */
class Channel implements Socket {
  subscribed = false;
  #user: string | undefined;
  #number = 0;
  #over = false;
  #looks = false;

  constructor(
    private readonly link: Link,
    private readonly news: SocketNews,
  ) {
    const refused = link.refusesChannel();
    link.after(() => (refused || !link.isOnline ? this.break(BROKEN) : this.#over || news.open()));
  }

  send(text: string): void {
    this.link.after(() => this.#over || this.#hear(text));
  }

  close(): void {
    this.end();
  }

  /** The server, or what is between, ends it. */
  break(code: number): void {
    if (this.#over) return;
    this.end();
    this.link.after(() => this.news.closed(code));
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.subscribed) this.link.desk.leave(this.#number);
    this.subscribed = false;
  }

  #hear(text: string): void {
    const message = JSON.parse(text) as { readonly t: string; readonly token?: string; readonly id?: number };
    const { desk } = this.link;
    if (message.t === "auth" && message.token !== undefined) this.#join(message.token, text);
    else if (message.t === "token") this.#user === desk.userOf(message.token) || this.#refuse("unauthorized", 4401);
    else if (message.t === "ping") this.#say(JSON.stringify({ t: "pong", seq: desk.toldTo(this.#number) }));
    else if (message.t === "push") this.#push(message.id as number, text);
  }

  #join(token: string, text: string): void {
    const { desk } = this.link;
    this.#user = desk.userOf(token);
    if (this.#user === undefined) return this.#refuse("unauthorized", 4401);
    const joined = desk.join(this.#user, text, () => this.#look());
    if (joined.code !== undefined) return this.#refuse(joined.code, joined.code === "wrong-user" ? 4403 : 4400);
    this.#number = joined.number;
    this.subscribed = true;
    this.#say(joined.ready);
    this.#look();
  }

  #refuse(code: string, close: number): void {
    this.#say(JSON.stringify({ t: "error", code, message: "" }));
    this.break(close);
  }

  #push(id: number, text: string): void {
    if (this.#user === undefined || !this.link.desk.isUser(this.#user)) return this.#refuse("unauthorized", 4401);
    // The authority takes the very bytes of the mutations.
    const reply = this.link.pushed(this.#user, text.slice(text.indexOf('"body":') + 7, -1));
    if (reply === "lost") return this.break(BROKEN);
    if (reply === "silent") return;
    const wait = reply.retryAfterMs === undefined ? "" : `"retry_after":${Math.ceil(reply.retryAfterMs / 1_000)},`;
    this.#say(`{"t":"answer","id":${id},"status":${reply.status},${wait}"body":${reply.body}}`);
  }

  /** Something was committed: in a while this channel is told what it may know of it. */
  #look(): void {
    if (this.#looks || this.#over) return;
    this.#looks = true;
    this.link.after(() => {
      this.#looks = false;
      const frame = this.#over ? undefined : this.link.desk.frame(this.#number);
      const newest = this.link.desk.newest();
      if (frame === undefined) return void (this.link.told = Math.max(this.link.told, this.#over ? 0 : newest));
      const times = this.link.frames();
      for (let time = 0; time < times; time += 1) this.#say(frame);
      if (times > 0) this.link.after(() => void (this.link.told = Math.max(this.link.told, newest)));
    });
  }

  #say(text: string): void {
    this.link.after(() => this.#over || this.news.text(text));
  }
}
