/** The samples of a run: plain data, from which the report is made. */
export class Results {
  failures = [];

  constructor({ sizes, adapters, sessions, out: _, ...about }) {
    this.data = {
      about,
      sizes,
      adapters: {},
      order: adapters,
      sessions,
      samples: {},
      curves: {},
      lacking: {},
      failed: {},
    };
  }

  /** Goes on from the data of an earlier run. Returns why that cannot be, if so. */
  goOnFrom({ about, sizes, adapters, order, sessions, samples, curves, lacking, failed }) {
    const { data } = this;
    const measured = ({ rounds: _, ...rest }) => JSON.stringify(rest);
    if (about.commit !== data.about.commit) return `what is there was measured at ${about.commit}`;
    if (measured(sizes) !== measured(data.sizes)) return "what is there was measured with other sizes";
    const both = (a, b) => [...new Set([...a, ...b])];
    const { began, loadBefore, slowOnce } = about;
    data.about = { ...data.about, began, loadBefore, slowOnce: slowOnce ?? data.about.slowOnce };
    Object.assign(data, { adapters, samples, curves, lacking, failed });
    data.order = both(data.order, order).sort();
    data.sessions = both(sessions, data.sessions);
    return undefined;
  }

  describe(adapter, about) {
    this.data.adapters[adapter] = about;
  }

  /** One sample of a figure; `durability` is empty where it makes no difference. */
  record(key, adapter, durability, value) {
    if (!Number.isFinite(value)) throw new Error(`${key} of ${adapter} is no number: ${value}`);
    const of = ((this.data.samples[key] ??= {})[durability] ??= {});
    (of[adapter] ??= []).push(value);
  }

  /** One point of a curve of growth. */
  point(curve, adapter, count, value) {
    const of = ((this.data.curves[curve] ??= {})[adapter] ??= {});
    (of[count] ??= []).push(value);
  }

  /** The adapter has no such thing. */
  lacks(key, adapter) {
    const list = (this.data.lacking[key] ??= []);
    if (!list.includes(adapter)) list.push(adapter);
  }

  fail(session, adapter, durability, error) {
    const message = String(error.message ?? error)
      .replace(/^page\.evaluate: /, "")
      .split("\n")
      .slice(0, 4)
      .join(" ");
    this.failures.push(`${session} ${adapter} ${durability}: ${message}`);
    const list = ((this.data.failed[session] ??= {})[adapter] ??= []);
    if (list.length < 3) list.push(message.slice(0, 300));
    console.error(`FAIL ${session} ${adapter} ${durability}: ${message}`);
  }

  finish(loadAfter) {
    this.data.about.loadAfter = loadAfter;
    this.data.about.ended = new Date().toISOString();
  }
}
