/** `db.sync`: where syncing stands, and what can be done about it. */
import type { Conflicts } from "./conflicts.js";
import { time } from "./env.js";
import { TidewireError } from "./errors.js";
import { liveOf, sameItems, type Live, type Source } from "./live.js";
import { compilePatch, wirePatch } from "./patch.js";
import type { Session } from "./session.js";
import type { Health, Metrics, QueueEntry, QueueView, SyncStatus, SyncView } from "./status.js";
import { topics } from "./topics.js";
import type { MutationName } from "./wasm/wire.js";
import { startWrite, waitFor, withTimeout, type WaitOptions, type Write } from "./write.js";

/** The queue: a live view of it, and what can be done with what the server refused. */
export interface Queue extends Live<QueueView> {
  /** What waits for the server. */
  readonly list: Live<readonly QueueEntry[]>;
  /** What the server refused; while the page is open, also what the storage had no room for (`quota`). */
  readonly failed: Live<readonly QueueEntry[]>;
  /** Sends it again, as a new mutation. */
  retry(n: MutationName): Write;
  /** Takes it out of the queue and out of the view. */
  discard(n: MutationName): Promise<void>;
  /** Sends it again with other values. Paths and values as in `update`; no operators. */
  edit(n: MutationName, patch: object): Write;
}

/** See the module's text. */
export interface Sync {
  readonly status: Live<SyncStatus>;
  readonly queue: Queue;
  readonly conflicts: Conflicts;
  readonly health: Live<Health>;
  readonly metrics: Live<Metrics>;
  /**
   * Syncs now. Resolves when everything is in step; rejects `offline`, `paused`, `timeout` (10 s unless told
   * otherwise).
   */
  now(options?: WaitOptions): Promise<void>;
  /** Resolves when the server has decided everything that waits; `failed` of it were refused. Rejects like `now`. */
  done(options?: WaitOptions): Promise<{ readonly failed: number }>;
  /** Stops talking to the server, until `resume`. Reads and writes go on. */
  pause(): Promise<void>;
  resume(): Promise<void>;
}

/** The `db.sync` of a session. */
export function syncOf(session: Session, conflicts: Conflicts): Sync {
  const command = (body: object): unknown =>
    JSON.parse(session.call((client) => client.command(JSON.stringify(body))) || "null");
  const tell = async (body: object): Promise<void> => {
    await session.whenWhole();
    command(body);
  };
  return Object.freeze({
    status: liveOf<SyncView>(() => session.status),
    health: liveOf(() => healthOf(session)),
    metrics: liveOf(() => session.view<Metrics>("metrics", [topics.health, topics.status])),
    queue: queueOf(session, tell),
    conflicts,
    now: (options: WaitOptions = {}) => syncNow(session, options, () => command({ do: "now" })),
    done: (options: WaitOptions = {}) => syncDone(session, options),
    pause: () => tell({ do: "pause" }),
    resume: () => tell({ do: "resume" }),
  });
}

function queueOf(session: Session, tell: (body: object) => Promise<void>): Queue {
  const view = liveOf(() => session.view<QueueView>("queue", [topics.queue]));
  const part = (name: "pending" | "failed"): Live<readonly QueueEntry[]> =>
    liveOf(() =>
      session.source<readonly QueueEntry[]>({
        key: `queue/${name}`,
        topics: [topics.queue],
        compute: () => session.view<QueueView>("queue", [topics.queue]).current()[name],
        same: sameItems,
      }),
    );
  const again = (body: object): Write =>
    startWrite<void>(
      session,
      "",
      () => ({ command: JSON.stringify(body) }),
      () => undefined,
    );
  return Object.freeze({
    ...view,
    list: part("pending"),
    failed: part("failed"),
    retry: (n: MutationName) => again({ do: "retry", n }),
    discard: (n: MutationName) => tell({ do: "discard", n }),
    edit: (n: MutationName, patch: object) => {
      const edits = compilePatch(patch);
      if (edits.some((edit) => edit.op !== "set" && edit.op !== "unset")) {
        throw new TidewireError(
          "bad-value",
          "queue.edit() takes values, and undefined to remove a field; no operators.",
        );
      }
      const { set = {}, unset = [] } = wirePatch(edits, {});
      return again({ do: "edit", n, set, unset });
    },
  });
}

function syncNow(session: Session, options: WaitOptions, ask: () => unknown): Promise<void> {
  const started = time.wall();
  return waitFor<void>(session, withTimeout(session, options), (settle) => {
    const stops: (() => void)[] = [];
    const begin = (): void => {
      if (settle.over()) return;
      ask();
      let began = false;
      const look = (): void => {
        const status = session.status.current();
        if (status.state !== "synced") began = true;
        else if (began || status.at > started || isFresh(session, started)) settle.resolve();
      };
      session.touch([topics.status, topics.health], false);
      stops.push(session.status.watch(look, "sync", settle.reject));
      stops.push(healthOf(session).watch(look, "sync", settle.reject));
    };
    session.whenWhole().then(begin).catch(settle.reject);
    return () => stops.forEach((stop) => stop());
  });
}

/**
 * Whether the last complete sync is younger than `started`. A status has whole seconds; only the leader's health
 * is finer.
 */
function isFresh(session: Session, started: number): boolean {
  const age = healthOf(session).current().lastSyncAgeMs;
  return age !== null && time.wall() - age > started;
}

function healthOf(session: Session): Source<Health> {
  return session.view<Health>("health", [topics.health, topics.status]);
}

/** Waits as long as it takes, unless a time is given: a long queue is no failure. */
function syncDone(session: Session, options: WaitOptions): Promise<{ readonly failed: number }> {
  return waitFor<{ readonly failed: number }>(session, options, (settle) =>
    session.status.watch(
      (status) => {
        if (status.pending === 0) settle.resolve({ failed: status.failed });
      },
      "sync",
      settle.reject,
    ),
  );
}
