/** Bad input from the app and bad answers from the network: a code, and nothing stored, lost or moved. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import zlib from "node:zlib";

import * as faults from "../lib/faults.mjs";
import { scenario, useStack } from "../lib/stack.mjs";
import { until } from "../lib/until.mjs";

/** What the app writes, the code that it is told, and where. Each function runs in the page. */
const BAD_INPUT = {
  NaN: [(db) => db.todos.insert({ title: NaN }), "bad-value", "/title"],
  Infinity: [(db, id) => db.todos.update(id, { title: -Infinity }), "bad-value", "/title"],
  "a BigInt": [(db) => db.todos.insert({ a: [{ b: 1n }] }), "bad-value", "/a/0/b"],
  "a function": [(db, id) => db.todos.update(id, { f: () => 1 }), "bad-value", "/f"],
  "a symbol": [(db) => db.todos.insert({ s: Symbol("s") }), "bad-value", "/s"],
  "a date": [(db) => db.todos.insert({ at: new Date(0) }), "bad-value", "/at"],
  "undefined in an array": [(db) => db.todos.insert({ a: [undefined] }), "bad-value", "/a/0"],
  "a cycle": [
    (db) => {
      const loop = /** @type {any} */ ({});
      loop.again = { loop };
      return db.todos.insert({ loop });
    },
    "bad-value",
    "/loop/again/loop",
  ],
  "65 levels": [
    (db) => db.todos.insert({ a: JSON.parse("[".repeat(64) + "1" + "]".repeat(64)) }),
    "too-deep",
    `/a${"/0".repeat(63)}`,
  ],
  "1 MiB and a byte": [
    (db) => db.todos.insert({ text: "x".repeat(1024 * 1024 + 1 - '{"text":""}'.length) }),
    "too-large",
  ],
  "1 MiB and a byte by a small edit": [
    async (db) => {
      const full = db.todos.insert({ id: "full", text: "x".repeat(1024 * 1024 - '{"text":""}'.length) });
      await full;
      await db.todos.update("full", { text: "x".repeat(1024 * 1024 + 1 - '{"text":""}'.length) }).finally(async () => {
        await db.todos.delete("full");
      });
    },
    "too-large",
  ],
  "the key __proto__": [
    (db) => db.todos.insert(JSON.parse('{"__proto__":{"admin":true}}')),
    "forbidden-key",
    "/__proto__",
  ],
  "constructor in an edit": [
    (db, id) => db.todos.update(id, JSON.parse('{"a":{"constructor":1}}')),
    "forbidden-key",
    "/a/constructor",
  ],
  "one field twice": [(db, id) => db.todos.update(id, { a: {}, "a.b": 1 }), "bad-path", "/a/b"],
  "one id twice": [(db) => db.todos.insertMany([{ id: "twice" }, { id: "twice" }]), "exists"],
  "a lone surrogate": [(db) => db.todos.insert({ title: "\ud800" }), "bad-value", "/title"],
  "a lone surrogate in a key": [(db) => db.todos.insert({ "\udc00": 1 }), "bad-value", "/\udc00"],
  "an empty id": [(db) => db.todos.insert({ id: "" }), "bad-name", "/id"],
  "an id of 129 bytes": [(db) => db.todos.insert({ id: "i".repeat(129) }), "bad-name"],
  "an id with a control character": [(db) => db.todos.insert({ id: "a\u0000" }), "bad-name"],
  "an unknown collection": [
    (db) => db.import({ tidewire: 1, collections: { cats: [{ id: "tom" }] } }),
    "unknown-collection",
  ],
  "a bad member of a transaction": [
    (db, id) =>
      db.transaction((tx) => {
        tx.todos.update(id, { title: "half done" });
        tx.todos.insert({ title: NaN });
      }),
    "bad-value",
    "/title",
  ],
  "501 members": [
    (db) => db.transaction((tx) => Array.from({ length: 501 }, (_, i) => void tx.todos.insert({ i }))),
    "too-large",
  ],
  "what is not there": [(db) => db.todos.update("nowhere", { title: "x" }), "not-found"],
};

describe("bad input", () => {
  const stack = useStack();

  scenario(stack, "is refused with code and path; nothing of it is stored and nothing else is lost", async (world) => {
    const device = await world.device();
    await device.synced();
    device.offline();
    const id = await device.run(async () => {
      const write = window.tw.db.todos.insert({ title: "good", a: { b: 0 } });
      await write;
      return write.id;
    });
    for (const [what, [write, code, path]] of Object.entries(BAD_INPUT)) {
      const told = await device.run(tryToWrite, { write: String(write), id });
      assert.deepEqual(told, { code, ...(path === undefined ? {} : { path }) }, what);
      assert.deepEqual(await device.rows("todos"), [{ id, title: "good", a: { b: 0 } }], what);
    }
    await device.reload();
    assert.deepEqual(await device.rows("todos"), [{ id, title: "good", a: { b: 0 } }]);
    device.online();
    await device.synced();
    assert.deepEqual([...(await world.rows("todos")).keys()], [id]);
    assert.deepEqual((await device.queue()).failed, []);
    assert.equal(await device.run(() => /** @type {any} */ ({}).admin), undefined);
  });
});

/** Runs in the page. */
async function tryToWrite({ write, id }) {
  const { db } = window.tw;
  try {
    await (0, eval)(`(${write})`)(db, id);
    return { code: "taken" };
  } catch (error) {
    const { code, path } = /** @type {any} */ (error);
    return path === undefined ? { code } : { code, path };
  }
}

/** 64 MiB of the same byte in some kilobytes. */
const bomb = (byte) => zlib.gzipSync(Buffer.alloc(64 << 20, byte));
const says = (type, body, headers = {}) => (exchange) =>
  exchange.reply({ status: 200, headers: { "content-type": type, ...headers }, body });

const BAD_ANSWERS = {
  "a page": says("text/html", "<html>Sign in to the Wi-Fi</html>"),
  "a page that was redirected to": (exchange) =>
    exchange.entry.path.endsWith("/portal")
      ? faults.portal(exchange)
      : exchange.reply({ status: 302, headers: { location: "/portal" } }),
  garbage: says("application/json", Buffer.from([0, 159, 146, 150, 10])),
  "another service's JSON": says("application/json", '{"ok":true}\n'),
  "a gzip bomb": (exchange) => says("application/json", bomb(48), { "content-encoding": "gzip" })(exchange),
  "a gzip bomb of a page": (exchange) => says("text/html", bomb(60), { "content-encoding": "gzip" })(exchange),
};

describe("a bad answer", () => {
  const stack = useStack();

  for (const [what, fault] of Object.entries(BAD_ANSWERS)) {
    scenario(stack, `${what} is said, and moves nothing`, async (world) => {
      const device = await world.device();
      await device.run(async () => void (await window.tw.db.todos.insert({ title: "before" })));
      await device.synced();
      device.offline();
      const writer = await world.device({ user: "bob" });
      await writer.run(async () => void (await window.tw.db.todos.insert({ title: "theirs" })));
      await writer.synced();
      await device.run(async () => void (await window.tw.db.todos.insert({ title: "mine" })));
      const rules = ["/pull", "/push", "/portal"].map((path) => device.proxy.next(path, 1_000, fault));
      device.proxy.onFrame = () => [];
      device.online();
      await device.until("it is said", () => window.tw.events.some(({ code }) => code === "bad-response"));
      await until("both were answered so", () => rules[0].met() > 0 && rules[1].met() > 0);
      const titles = (await device.rows("todos")).map((row) => row.title);
      assert.deepEqual(titles.toSorted(), ["before", "mine"]);
      assert.equal((await device.queue()).pending.length, 1);
      const refusal = await device.run(() => window.tw.db.sync.now({ timeoutMs: 3_000 }).catch((error) => error.code));
      assert.ok(["offline", "timeout"].includes(refusal), `now() rejects with ${refusal}`);
      for (const rule of rules) rule.stop();
      device.proxy.onFrame = (frame) => [frame];
      await device.synced();
      assert.equal((await world.rows("todos")).size, 3);
      await device.agrees("todos", await world.rows("todos"));
    });
  }

  scenario(stack, "a pull that is cut in the middle goes on from its last checkpoint", async (world) => {
    const writer = await world.device();
    await writer.run(() =>
      window.tw.db.todos.insertMany(Array.from({ length: 1_200 }, (_, i) => ({ title: `todo ${i}` }))),
    );
    await writer.synced();
    const device = await world.device({
      user: "bob",
      line: (proxy) => void proxy.next("/pull", 2, faults.loseHalfAnswer),
    });
    await device.synced();
    await device.agrees("todos", await world.rows("todos"));
    const seen = device.proxy.seen("/pull").map(({ body }) => JSON.parse(body).cursor?.seq ?? 0);
    assert.ok(seen.length >= 3 && seen[0] === 0, `${seen}`);
  });
});
