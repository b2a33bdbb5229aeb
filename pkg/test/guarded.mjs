/** A client for sensitive fields over two that do as the test says, and write down what they were asked. */
import { Guard } from "../dist/host/sensitive-guard.js";

const FIELDS = new Map([["people", ["/ssn", "/address/street"]]]);

class Told {
  entities = new Map();
  queue = [];
  conflicts = [];
  status = { state: "synced", loaded: ["people"] };
  asked = [];
  writes = 0;
  /** What every call throws from now on. */
  failure;

  ask(...what) {
    if (this.failure !== undefined) throw this.failure;
    this.asked.push(what);
  }

  async open() {
    return "{}";
  }

  row(collection, id) {
    this.ask("row");
    const row = this.entities.get(`${collection}/${id}`);
    return row && JSON.stringify({ id, $rev: 1, ...row });
  }

  write(request, lines) {
    this.ask("write", JSON.parse(request), lines);
    return JSON.stringify({ write: (this.writes += 1), count: JSON.parse(request).ops.length });
  }

  undo(write) {
    this.ask("undo", write);
    return JSON.stringify({ write: (this.writes += 1), count: 1 });
  }

  view(what) {
    this.ask("view");
    const { status, conflicts } = this;
    return JSON.stringify({ status, conflicts, queue: { pending: this.queue, failed: [] } }[what]);
  }

  command(request) {
    this.ask("command", JSON.parse(request));
    const what = JSON.parse(request).do;
    if (what === "pause") this.status = { ...this.status, state: "paused", reason: "user" };
    if (what === "resume") this.status = { ...this.status, state: "synced" };
    return "{}";
  }

  /** The commands that it was given. */
  get commands() {
    return this.asked.flatMap(([what, body]) => (what === "command" ? [body.do] : []));
  }

  /** The writes that it was told to take back. */
  get undone() {
    return this.asked.flatMap(([what, write]) => (what === "undo" ? [write] : []));
  }

  /** The documents that it was given beside them. */
  get lines() {
    return this.asked.flatMap(([what, , lines]) => (what === "write" && lines !== "" ? lines.split("\n") : []));
  }

  /** The operations that it was given. */
  get ops() {
    return this.asked.flatMap(([what, body]) => (what === "write" ? body.ops : []));
  }

  async close() {
    this.failure ??= Object.assign(new Error("closed"), { code: "closed" });
  }

  async erase() {
    await this.close();
  }
}

export function guarded({ timeoutMs = 10_000 } = {}) {
  const told = [];
  const [main, aside] = [new Told(), new Told()];
  const owner = { event: (json) => void told.push(...JSON.parse(json)) };
  const guard = new Guard(FIELDS, owner, async () => undefined, timeoutMs);
  guard.take(main, aside, () => told.push({ type: "let go" }));
  return { guard, main, aside, told };
}

/** A write of these operations. */
export function write(guard, ...ops) {
  return JSON.parse(guard.write(JSON.stringify({ ops, atomic: false, call: [1, 1] }), ""));
}
