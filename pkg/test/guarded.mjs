/** A client for sensitive fields over two that do as the test says, and write down what they were asked. */
import { z } from "zod";
import { openWith } from "../dist/db.js";
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

  want(collection, id) {
    this.ask("want", id);
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
    return JSON.stringify({ status, conflicts, queue: { pending: this.queue, failed: [] }, calls: [] }[what]);
  }

  keep() {}

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

export function guarded({ timeoutMs = 10_000, owner: host, whole = async () => undefined } = {}) {
  const told = [];
  const [main, aside] = [new Told(), new Told()];
  const owner = host ?? { event: (json) => void told.push(...JSON.parse(json)) };
  const guard = new Guard(FIELDS, owner, whole, timeoutMs);
  guard.take(main, aside, () => told.push({ type: "let go" }));
  return { guard, main, aside, told };
}

/** A write of these operations. */
export function write(guard, ...ops) {
  return JSON.parse(guard.write(JSON.stringify({ ops, atomic: false, call: [1, 1] }), ""));
}

const person = z.looseObject({ name: z.string() });
let count = 0;

/** A database over such a client; `prepare` gets what each is made of, one after another where they trap. */
export async function openGuarded(t, prepare) {
  const listeners = new Set();
  const made = [];
  const factory = {
    isWhole: true,
    whole: async () => undefined,
    stored: async () => false,
    onTrap: (fn) => (listeners.add(fn), () => listeners.delete(fn)),
    trapped: (generation) => [...listeners].forEach((fn) => fn(generation, false)),
    async create(_, owner) {
      made.push(guarded({ owner }));
      prepare(made.at(-1), made.length);
      return { client: made.at(-1).guard, generation: made.length };
    },
  };
  const collections = { people: { schema: person, options: { sensitive: ["ssn", "address.street"] } } };
  const db = openWith({ name: `guarded${(count += 1)}`, url: "https://sync.example.com", collections }, factory);
  t.after(() => db.close());
  await db.people.get("p");
  /** `aside` knows it now. */
  const arrive = (id, row) => {
    const { aside, guard } = made.at(-1);
    aside.entities.set(`people/${id}`, row);
    guard.heard(JSON.stringify([{ type: "changed", collection: "people", ids: [id], origin: "remote" }]));
  };
  return { db, made, arrive };
}
