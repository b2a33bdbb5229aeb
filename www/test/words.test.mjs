import assert from "node:assert/strict";
import test from "node:test";
import { load } from "./load.mjs";

const { describeStatus } = await load("src/lib/status-words.ts");
const { entryKey, entryValues, entryWords, queueSummary } = await load("src/data/queue.ts");
const { fold, formatBytes, formatDuration, initials, sentence } = await load("src/lib/format.ts");
const { parseRoute } = await load("src/lib/route.ts");

const around = { workOffline: false, browserOnline: true, now: 1_000_000 };
const always = { pending: 0, failed: 0, storage: "indexeddb" };
const states = [
  { state: "local" },
  { state: "offline", since: 1 },
  { state: "connecting", attempt: 3, retryAt: 1_005_000 },
  { state: "syncing" },
  { state: "synced", at: 999_000 },
  ...["app", "auth", "quota", "upgrade", "wrong-user", "something-new"].map((reason) => ({
    state: "paused",
    reason,
  })),
];

test("every state of the sync has a label and a sentence, whatever is pending", () => {
  for (const state of states) {
    for (const numbers of [{}, { pending: 3 }, { failed: 1 }]) {
      const words = describeStatus({ ...always, ...numbers, ...state }, around);
      assert.ok(words.label && words.detail.endsWith("."), `${state.state} ${state.reason ?? ""}: ${words.detail}`);
    }
  }
});

test("the badge never says up to date while something waits or was refused", () => {
  const synced = { ...always, state: "synced", at: 999_000 };
  assert.equal(describeStatus(synced, around).label, "Up to date");
  assert.equal(describeStatus({ ...synced, pending: 1 }, around).label, "Waiting");
  assert.equal(describeStatus({ ...synced, failed: 1 }, around).label, "Needs you");
});

test("the switch says whether the network is there", () => {
  const paused = { ...always, state: "paused", reason: "app" };
  assert.match(describeStatus(paused, { ...around, workOffline: true }).detail, /network is there/);
  assert.match(
    describeStatus(paused, { ...around, workOffline: true, browserOnline: false }).detail,
    /browser is offline too/,
  );
});

test("a queue entry is shown by its fields, not by its pointers", () => {
  const entry = {
    n: [5, 0],
    collection: "customers",
    id: "a",
    kind: "patch",
    status: "queued",
    at: 1,
    attempts: 0,
  };
  const edit = { ...entry, set: { "/address/city": "Oslo" }, inc: { "/calls": -1 }, unset: ["/a~1b"] };
  assert.equal(entryWords(edit), "address.city: Oslo · calls −1 · a/b removed");
  assert.deepEqual(entryValues(edit), { "address.city": "Oslo" });
  assert.equal(entryKey(edit), "5.0");
});

test("a new entry is shown by what it says, not by its empty fields", () => {
  const entry = { kind: "insert", set: { "/name": "Ada", "/city": "", "/tags": [], "/calls": 0, "/done": false } };
  assert.equal(entryWords(entry), "name: Ada · calls: 0 · done: false");
  assert.equal(entryWords({ ...entry, kind: "patch", set: { "/city": "" } }), "city: (empty)");
});

test("the queue is summed up in a few words", () => {
  const summaries = [[0, 0], [1, 0], [0, 2], [3, 1]].map((numbers) => queueSummary(...numbers));
  assert.deepEqual(summaries, ["Nothing waits", "1 change waiting", "2 refused", "3 changes waiting, 1 refused"]);
});

test("searching folds case and accents", () => {
  assert.equal(fold("Łódź Café"), "łodz cafe");
  assert.equal(fold(null), "");
});

test("small things read well", () => {
  assert.equal(sentence("read it and decide anew"), "Read it and decide anew.");
  assert.equal(sentence("Is it there?"), "Is it there?");
  assert.equal(initials("Ada Maria Lindqvist"), "AL");
  assert.equal(initials("  "), "?");
  assert.equal(formatBytes(2_345_678), "2.2 MB");
  assert.equal(formatDuration(90_000), "2 min");
});

test("an address names a page and an entity; an unknown one is the first page", () => {
  assert.deepEqual(parseRoute("#/movies/a%2Fb"), { page: "movies", id: "a/b" });
  assert.deepEqual(parseRoute("#seed"), { page: "customers", id: undefined });
});
