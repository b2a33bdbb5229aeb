/**
 * A stand-in for the wasm class: keeps rows in memory and answers as docs of the boundary say. For tests of the
 * face only.
 */
const clone = (value) => JSON.parse(JSON.stringify(value));

/** The request with an operation for each line. */
function withInserts(request, lines) {
  const all = lines.split("\n").filter(Boolean).map((line) => {
    const end = line.search(/(?<!\\)"\{/) + 1;
    return { id: JSON.parse(line.slice(0, end)), value: JSON.parse(line.slice(end)) };
  });
  const ops = request.ops.flatMap(({ count, ...op }) =>
    count === undefined ? [op] : all.splice(0, count).map((entity) => ({ ...op, ...entity })),
  );
  return { ...request, ops };
}

export function fakeFactory(options = {}) {
  const store = options.store ?? { rows: new Map(), queue: [], key: 0 };
  const listeners = new Set();
  const factory = {
    store,
    clients: [],
    configs: [],
    generation: 0,
    dead: -1,
    openGate: options.openGate ?? Promise.resolve(),
    async create(config, host) {
      factory.configs.push(JSON.parse(config));
      if (factory.dead === factory.generation) factory.generation += 1;
      // `stores`: one for each name, as in a browser.
      const { name } = JSON.parse(config);
      const named = options.stores && (options.stores[name] ??= { rows: new Map(), queue: [], key: 0 });
      const client = new FakeClient(factory, named ?? store, JSON.parse(config), host, options);
      factory.clients.push(client);
      return { client, generation: factory.generation };
    },
    async stored({ name }) {
      return options.stores?.[name] !== undefined;
    },
    trapped(generation) {
      if (generation <= factory.dead) return;
      factory.dead = generation;
      for (const listener of [...listeners]) listener(generation);
    },
    isWhole: true,
    whole: async () => undefined,
    onTrap(fn) {
      listeners.add(fn);
      return () => listeners.delete(fn);
    },
    get client() {
      return factory.clients.findLast((client) => !client.closed) ?? factory.clients.at(-1);
    },
  };
  return factory;
}

export class FakeClient {
  constructor(factory, store, config, host, options) {
    Object.assign(this, { factory, store, config, host, options });
    this.writes = 0;
    this.calls = { row: 0, rows: 0, query: 0, write: 0 };
    this.pending = [];
    this.conflicts = clone(options.conflicts ?? []);
    this.view_ = new Map();
    this.kept = new Map();
    this.handles = 0;
    this.status = {
      state: config.url === null ? "local" : "synced",
      at: 1,
      pending: 0,
      failed: 0,
      storage: "memory",
      leader: true,
      loaded: [],
      ...(options.status ?? {}),
    };
    this.autoDurable = options.autoDurable ?? true;
    this.trapNext = undefined;
  }

  async open() {
    await this.factory.openGate;
    const error = this.options.openError?.();
    if (error !== undefined) throw error;
    // The view starts from what is durable.
    for (const [key, row] of this.store.rows) this.view_.set(key, clone(row));
    this.opened = true;
    return JSON.stringify({ storage: "memory", replica: "r1" });
  }

  #trap(name) {
    if (this.trapNext === name) {
      this.trapNext = undefined;
      throw new WebAssembly.RuntimeError("unreachable");
    }
  }

  write(text, lines) {
    this.calls.write += 1;
    this.#trap("write");
    const request = withInserts(JSON.parse(text), lines);
    // As in the core, a patch that changes nothing is no edit.
    const edits = request.ops.filter((op) => this.#apply(op));
    const number = (this.writes += 1);
    const { call: _, ...asked } = request;
    this.lastRequest = asked;
    this.pending.push({ number, request, at: Date.now() });
    if (this.autoDurable) queueMicrotask(() => this.settle(number));
    return JSON.stringify({ write: number, count: edits.length });
  }

  undo(number) {
    this.undone = number;
    this.writes += 1;
    const own = this.writes;
    queueMicrotask(() => this.emit([{ type: "durable", write: own, n: [[(this.store.key += 1), 0]] }]));
    return JSON.stringify({ write: own, count: 1 });
  }

  /** Makes a write durable; `report: false`: the log has it, but the tab was not told. */
  settle(number, { report = true } = {}) {
    const index = this.pending.findIndex((entry) => entry.number === number);
    if (index < 0) return;
    const [{ request, at: made }] = this.pending.splice(index, 1);
    const key = (this.store.key += 1);
    const [asker] = request.call;
    this.store.calls = [...(this.store.calls ?? []).filter(([other]) => other !== asker), request.call];
    request.ops.forEach((op, at) => {
      const row = this.view_.get(`${op.c}/${op.id}`);
      if (row === undefined) this.store.rows.delete(`${op.c}/${op.id}`);
      else this.store.rows.set(`${op.c}/${op.id}`, clone(row));
      const { set, unset, inc, add, remove } = op;
      this.store.queue.push({
        n: [key, at],
        collection: op.c,
        id: op.id,
        kind: op.op === "replace" ? "patch" : op.op,
        value: op.value,
        status: "queued",
        at: made,
        attempts: 0,
        set,
        unset,
        inc,
        add,
        remove,
      });
    });
    if (report) this.emit([{ type: "durable", write: number, n: request.ops.map((_, at) => [key, at]) }]);
  }

  emit(events) {
    if (!this.closed) this.host.event(JSON.stringify(events));
  }

  /** A row comes or changes from elsewhere. */
  remote(collection, id, data) {
    const key = `${collection}/${id}`;
    if (data === undefined) this.view_.delete(key);
    else this.view_.set(key, { id, ...data, $sync: { status: "synced", syncedAt: 1 }, $rev: 1, $updatedAt: 1 });
    if (data === undefined) this.store.rows.delete(key);
    else this.store.rows.set(key, clone(this.view_.get(key)));
    this.emit([{ type: "changed", collection, ids: [id], origin: "remote" }]);
  }

  #apply(op) {
    const key = `${op.c}/${op.id}`;
    const row = this.view_.get(key);
    const mark = {
      $sync: { status: "pending" },
      $rev: row?.$rev ?? 0,
      $updatedAt: (this.store.clock = (this.store.clock ?? 1000) + 1),
    };
    if (op.op === "insert") {
      if (row !== undefined)
        throw Object.assign(new Error("exists"), { code: "exists", retryable: false, hint: "exists", id: op.id });
      return this.view_.set(key, { id: op.id, ...op.value, ...mark });
    }
    if (row === undefined)
      throw Object.assign(new Error("not there"), { code: "not-found", retryable: false, hint: "not there" });
    if (op.resolves?.length > 0) {
      this.#resolve(key, op.resolves);
      this.view_.set(key, { ...patched(this.view_.get(key), op), ...mark });
    } else if (op.op === "delete") this.view_.delete(key);
    else if (op.op === "replace") this.view_.set(key, { id: op.id, ...op.value, ...mark });
    else if (JSON.stringify(row) === JSON.stringify(patched(row, op))) return false;
    else this.view_.set(key, { ...patched(row, op), ...mark });
    return true;
  }

  #resolve(key, ids) {
    const decided = this.conflicts.filter(({ id }) => ids.includes(id));
    this.conflicts = this.conflicts.filter((one) => !decided.includes(one));
    const row = this.view_.get(key);
    const open = decided.filter(({ state }) => state === "open");
    const set = Object.fromEntries(open.map(({ path, kept }) => [path, kept]));
    if (open.length > 0) this.view_.set(key, patched(row, { set }));
  }

  /** The server parks values, or tells what lost. */
  conflict(...conflicts) {
    this.conflicts = conflicts;
    for (const { c, e } of conflicts) this.emit([{ type: "changed", collection: c, ids: [e], origin: "remote" }]);
  }

  row(collection, id) {
    this.calls.row += 1;
    this.#trap("row");
    const row = this.view_.get(`${collection}/${id}`);
    return row === undefined ? undefined : JSON.stringify(row);
  }

  want = (...what) => void (this.wants ??= []).push(what);

  rows(collection, ids) {
    this.calls.rows += 1;
    return JSON.stringify(JSON.parse(ids).map((id) => this.view_.get(`${collection}/${id}`) ?? null));
  }

  /** A kept query is answered anew each time, and whole: the core's steps are for the tests with the real module. */
  query(text) {
    this.calls.query += 1;
    const request = JSON.parse(text);
    if (request.drop !== undefined) return (this.kept.delete(request.drop), "{}");
    const { watch, ...asked } = request.delta === undefined ? request : this.kept.get(request.delta);
    if (!watch) return JSON.stringify(this.#answer(asked));
    this.kept.set((this.handles += 1), asked);
    return JSON.stringify({ ...this.#answer(asked), handle: this.handles });
  }

  #answer(request) {
    this.lastQuery = request;
    const { c, where, orderBy = [], limit, offset = 0, after, fold } = request;
    let rows = [...this.view_].filter(([key]) => key.startsWith(`${c}/`)).map(([, row]) => row);
    rows = rows.filter((row) => where === undefined || matches(row, where));
    rows.sort((a, b) => {
      for (const [path, direction] of orderBy) {
        const [x, y] = [valueAt(a, path), valueAt(b, path)];
        if (x !== y) return (x < y ? -1 : 1) * (direction === "desc" ? -1 : 1);
      }
      return a.id < b.id ? -1 : 1;
    });
    const start = offset + (after === undefined ? 0 : Number(after));
    const end = limit === undefined ? rows.length : start + limit;
    if (fold !== undefined) return { items: [[null, rows.length]] };
    const answer = { items: rows.slice(start, end).map((row) => row.id), total: rows.length };
    if (limit > 0 && end < rows.length) answer.next = String(end);
    return answer;
  }

  view(what) {
    if (what === "conflicts") return JSON.stringify(this.conflicts);
    if (what === "status") return JSON.stringify(this.status);
    if (what === "queue") return JSON.stringify({ pending: this.store.queue, failed: this.failed ?? [] });
    if (what === "calls") return JSON.stringify(this.store.calls ?? []);
    return JSON.stringify({ pending: 0 });
  }

  setStatus(status) {
    this.status = { ...this.status, ...status };
    this.emit([{ type: "status" }]);
  }

  command(text) {
    const command = JSON.parse(text);
    (this.commands ??= []).push(command);
    if (command.do === "claimed") return JSON.stringify(this.#claimed(command.to));
    if (/^(claim|adopt)$/.test(command.do)) return this.#adoption(command);
    if (command.do === "retry" || command.do === "edit") {
      const number = (this.writes += 1);
      queueMicrotask(() => this.emit([{ type: "durable", write: number, n: [[(this.store.key += 1), 0]] }]));
      return JSON.stringify({ write: number });
    }
    return JSON.stringify(command.do === "fetch" ? { hit: false, id: command.id } : {});
  }

  #claimed(user) {
    const { queue } = this.store;
    const items = queue.filter(({ claimed }) => claimed === user).map((entry) => ({ n: entry.n, m: entry }));
    const pending = queue.filter(({ claimed }) => !claimed).length;
    return { pending, done: items.at(-1)?.n ?? null, records: [{ source: this.config.name, items }] };
  }

  /** What is claimed is in no view, and `adopted` keeps what came from where. */
  #adoption({ do: does, to, done, records: [{ items, source }] = [{}] }) {
    const step = does === "claim" && done ? "adopted" : does;
    const error = this.options.adoptionError?.(step);
    const number = (this.writes += 1);
    const { store } = this;
    const keep = (entry) => (step === "claim" && (entry.claimed || to)) || (step === "adopted" && entry.claimed !== to);
    if (error === undefined && step !== "adopt") {
      for (const entry of store.queue) {
        if (!entry.claimed && step === "claim") {
          for (const rows of [store.rows, this.view_]) rows.delete(`${entry.collection}/${entry.id}`);
          entry.claimed = to;
        }
      }
      store.queue = store.queue.filter((entry) => keep(entry) || (done && entry.n[0] > done[0]));
    } else if (error === undefined) {
      for (const { n, m } of items) {
        if ((store.adopted ??= new Set()).has(`${source}/${n}`)) continue;
        store.adopted.add(`${source}/${n}`);
        const row = { id: m.id, ...m.value, $sync: { status: "pending" }, $rev: 0, $updatedAt: 1 };
        for (const rows of [store.rows, this.view_]) rows.set(`${m.collection}/${m.id}`, row);
        store.queue.push({ ...m, n: [(store.key += 1), 0], claimed: undefined });
      }
    }
    const event = error ? { type: "write-failed", write: number, error } : { type: "durable", write: number, n: [] };
    const ids = (items ?? []).map(({ m }) => m.id);
    const collection = items?.[0]?.m.collection;
    queueMicrotask(() => this.emit([...(collection ? [{ type: "changed", collection, ids }] : []), event]));
    return JSON.stringify({ write: number });
  }

  keep() {
    this.mayStay = true;
  }

  exportData() {
    const collections = {};
    for (const [key, row] of this.view_) (collections[key.split("/")[0]] ??= []).push(row);
    return JSON.stringify({ tidewire: 1, collections, queue: { pending: [], failed: [] } });
  }

  async close() {
    this.closed = true;
  }

  async erase() {
    this.closed = true;
    this.store.rows.clear();
  }
}

function valueAt(row, path) {
  if (path === "$id") return row.id;
  if (path === "$status") return row.$sync.status;
  if (path.startsWith("$")) return row[path];
  return (
    path
      .split("/")
      .slice(1)
      .reduce((value, key) => value?.[key], row) ?? null
  );
}

function matches(row, where) {
  if (where.and) return where.and.every((part) => matches(row, part));
  if (where.or) return where.or.some((part) => matches(row, part));
  if (where.not) return !matches(row, where.not);
  const value = valueAt(row, where.path);
  switch (where.op) {
    case "eq":
      return JSON.stringify(value) === JSON.stringify(where.value);
    case "ne":
      return JSON.stringify(value) !== JSON.stringify(where.value);
    case "gt":
      return value > where.value;
    case "gte":
      return value >= where.value;
    case "lt":
      return value < where.value;
    case "lte":
      return value <= where.value;
    case "in":
      return where.value.includes(value);
    case "contains":
      return (value ?? []).includes(where.value);
    case "startsWith":
      return (value ?? "").startsWith(where.value);
    default:
      throw new Error(where.op);
  }
}

function patched(row, op) {
  const next = clone(row);
  const put = (pointer, change) => {
    const keys = pointer.split("/").slice(1);
    const last = keys.pop();
    const parent = keys.reduce((value, key) => (value[key] ??= {}), next);
    const value = change(parent[last]);
    if (value === undefined) delete parent[last];
    else parent[last] = value;
  };
  for (const [pointer, value] of Object.entries(op.set ?? {})) put(pointer, () => value);
  for (const pointer of op.unset ?? []) put(pointer, () => undefined);
  for (const [pointer, by] of Object.entries(op.inc ?? {})) put(pointer, (old = 0) => old + by);
  for (const [pointer, values] of Object.entries(op.add ?? {}))
    put(pointer, (old = []) => [...old, ...values.filter((value) => !old.includes(value))]);
  for (const [pointer, values] of Object.entries(op.remove ?? {}))
    put(pointer, (old = []) => old.filter((value) => !values.includes(value)));
  return next;
}

/** Lets promises and events run. */
export const settled = () => new Promise((resolve) => setTimeout(resolve, 5));
