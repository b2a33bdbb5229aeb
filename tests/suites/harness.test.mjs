/** The tools of these tests, on a stand-in for the server: a fault that does not happen would let a test pass. */
import assert from "node:assert/strict";
import http from "node:http";
import { after, before, describe, test } from "node:test";

import { ACCOUNTS, MONEY, PARTS } from "../lib/crash-page.mjs";
import * as faults from "../lib/faults.mjs";
import { FrameSplitter } from "../lib/frames.mjs";
import { Ledger, Tally } from "../lib/ledger.mjs";
import { startProxy } from "../lib/proxy.mjs";
import { until } from "../lib/until.mjs";

describe("the bad network", () => {
  const got = [];
  let upstream;
  let proxy;
  before(async () => {
    upstream = http.createServer(async (request, response) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      got.push(body);
      response.writeHead(200, { "content-type": "text/plain" }).end(`took ${body}`);
    });
    await new Promise((resolve) => upstream.listen(0, "127.0.0.1", resolve));
    proxy = await startProxy(() => upstream.address().port);
  });
  after(async () => {
    await proxy.close();
    upstream.close();
  });
  const push = async (body) => (await fetch(`${proxy.url}/api/sync/push`, { method: "POST", body })).text();

  test("passes a request and its answer, and writes it down", async () => {
    assert.equal(await push("a"), "took a");
    assert.deepEqual(
      proxy.seen("/push").map(({ body, status }) => [body, status]),
      [["a", 200]],
    );
  });

  test("loses an answer after the server did the work", async () => {
    proxy.next("/push", 1, faults.loseAnswer);
    await assert.rejects(push("b"));
    assert.equal(got.at(-1), "b");
    assert.equal(await push("c"), "took c");
  });

  test("gives half of an answer", async () => {
    proxy.next("/push", 1, faults.loseHalfAnswer);
    await assert.rejects(push("half"));
    assert.equal(got.at(-1), "half");
  });

  test("loses a request before the server saw it", async () => {
    const before_ = got.length;
    proxy.next("/push", 1, faults.lose);
    await assert.rejects(push("d"));
    assert.equal(got.length, before_);
  });

  test("doubles a request", async () => {
    proxy.next("/push", 1, faults.double);
    assert.equal(await push("e"), "took e");
    assert.deepEqual(got.slice(-2), ["e", "e"]);
  });

  test("delivers a request late, after a newer one", async () => {
    const { fault, release } = faults.late();
    proxy.next("/push", 1, fault);
    await assert.rejects(push("old"));
    await push("new");
    await release();
    assert.deepEqual(got.slice(-2), ["new", "old"]);
  });

  test("answers as a server in trouble would", async () => {
    proxy.next("/push", 1, faults.answer(429, "rate-limited", { "retry-after": "7" }));
    const answer = await fetch(`${proxy.url}/api/sync/push`, {
      method: "POST",
      headers: { origin: "http://localhost:1" },
    });
    assert.equal(answer.status, 429);
    assert.equal(answer.headers.get("retry-after"), "7");
    assert.equal(answer.headers.get("access-control-allow-origin"), "http://localhost:1");
    assert.equal((await answer.json()).code, "rate-limited");
  });

  test("refuses, swallows, and heals", async () => {
    proxy.refuse();
    await assert.rejects(push("f"));
    proxy.heal();
    assert.equal(await push("g"), "took g");
    proxy.blackhole();
    const answer = push("h");
    answer.catch(() => undefined);
    await until("the request is swallowed", () => Promise.race([answer.then(() => false), tick().then(() => true)]));
    proxy.heal();
    await assert.rejects(answer);
    assert.equal(await push("i"), "took i");
  });
});

describe("a line of which one direction is dead", () => {
  const got = [];
  let upstream;
  let proxy;
  before(async () => {
    upstream = http.createServer(async (request, response) => {
      for await (const chunk of request) got.push(String(chunk));
      response.end("taken");
    });
    upstream.on("upgrade", (_, socket) => {
      socket.write("HTTP/1.1 101 Yes\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n");
      socket.on("data", () => socket.write(Buffer.from([0x81, 2, 0x68, 0x69])));
      socket.on("error", () => undefined);
    });
    await new Promise((resolve) => upstream.listen(0, "127.0.0.1", resolve));
    proxy = await startProxy(() => upstream.address().port);
  });
  after(async () => {
    await proxy.close();
    upstream.closeAllConnections();
    upstream.close();
  });
  const push = (body) => fetch(`${proxy.url}/push`, { method: "POST", body }).then(() => body);

  test("brings the server what the device says, or nothing; and the device nothing", async () => {
    proxy.half("deaf");
    const heard = push("heard");
    await until("the server has it", () => got.includes("heard"));
    proxy.heal();
    await assert.rejects(heard);
    proxy.half("mute");
    const unheard = push("unheard");
    unheard.catch(() => undefined);
    assert.equal(await Promise.race([unheard, tick().then(() => "nothing")]), "nothing");
    proxy.heal();
    await assert.rejects(unheard);
    assert.deepEqual([await push("again"), got], ["again", ["heard", "again"]]);
  });

  test("of a live channel, too; healing ends what stood", async () => {
    const say = (socket) => socket.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x7b, 0x7d]));
    for (const mode of /** @type {const} */ (["deaf", "mute"])) {
      const { port } = new URL(proxy.url);
      const request = http.request({ port, path: "/live", headers: { connection: "upgrade", upgrade: "websocket" } });
      request.end();
      const socket = await new Promise((resolve) => request.on("upgrade", (_, one) => resolve(one)));
      const closed = new Promise((resolve) => socket.on("close", resolve).on("error", () => undefined));
      const told = [];
      socket.on("data", (bytes) => told.push(bytes));
      say(socket);
      await until("it is answered", () => told.length === 1);
      proxy.half(mode);
      say(socket);
      await tick();
      assert.equal(told.length, 1, mode);
      proxy.heal();
      await closed;
    }
  });
});

describe("WebSocket frames", () => {
  const text = (string) => {
    const body = Buffer.from(string);
    const length = body.length < 126 ? [body.length] : [126, body.length >> 8, body.length & 255];
    return Buffer.concat([Buffer.from([0x81, ...length]), body]);
  };

  test("are cut at their borders wherever the network cuts the stream", () => {
    const long = "x".repeat(300);
    const stream = Buffer.concat([
      Buffer.from("HTTP/1.1 101 Yes\r\n\r\n"),
      text("one"),
      Buffer.from([0x89, 0]),
      text(long),
    ]);
    for (let size = 1; size < stream.length; size += 7) {
      const splitter = new FrameSplitter();
      const frames = [];
      for (let at = 0; at < stream.length; at += size) frames.push(...splitter.push(stream.subarray(at, at + size)));
      assert.deepEqual(
        frames.map((frame) => frame.text),
        [undefined, "one", undefined, long],
      );
      assert.deepEqual(Buffer.concat(frames.map((frame) => frame.bytes)), stream);
    }
  });

  test("of a client are unmasked to be read, and pass on as they are", () => {
    const mask = [1, 2, 3, 4];
    const frame = text("anyone").map((byte, at) => (at < 2 ? byte : byte ^ mask[(at - 2) % 4]));
    const stream = Buffer.concat([Buffer.from([frame[0], frame[1] | 0x80, ...mask]), frame.subarray(2)]);
    const splitter = new FrameSplitter({ head: false });
    assert.deepEqual(splitter.push(stream.subarray(0, 5)), []);
    assert.deepEqual(splitter.push(stream.subarray(5)), [{ bytes: stream, text: "anyone" }]);
  });
});

describe("the ledger of a crash campaign", () => {
  const lines = (words) => words.map((text) => `log: ${text}`);
  const rows = (changes = {}) => ({
    notes: [{ mark: "w0" }],
    entries: [{ mark: "w1", from: "a1", to: "a2", amount: 2 }],
    counters: Array.from({ length: 10 }, (_, i) => ({
      id: `c${i}`,
      count: i === 2 ? 1 : 0,
      marks: i === 2 ? ["w2"] : [],
    })),
    parts: Array.from({ length: PARTS }, (_, part) => ({ mark: "w3", part })),
    accounts: Array.from({ length: ACCOUNTS }, (_, i) => ({ id: `a${i}`, money: MONEY + [0, -2, 2][i] || MONEY })),
    ...changes,
  });
  const faultsOf = (changes, words = ["acked w0", "acked w1", "acked w2", "acked w3"]) => {
    const tally = new Tally();
    const ledger = new Ledger(tally);
    ledger.close(lines(words));
    const check = () => ledger.afterCrash(rows(changes));
    if (changes === undefined) check();
    else assert.throws(check, { code: "ERR_ASSERTION" });
    const { lost, partial, doubled, open, rolledBack } = tally;
    return { lost, partial, doubled, open, rolledBack };
  };
  const good = { lost: 0, partial: 0, doubled: 0, open: 0, rolledBack: 0 };

  test("finds nothing where all is well, and counts what was open", () => {
    assert.deepEqual(faultsOf(undefined), good);
    const died = ["begun w4", "put w4", "begun w5", "put w5", "stored w5", "acked w5"];
    assert.deepEqual(faultsOf({}, died), { ...good, lost: 1, open: 1, rolledBack: 1 });
    assert.deepEqual(faultsOf(undefined, ["put w0"]), { ...good, open: 1 });
  });

  test("notices what is lost, torn or doubled", () => {
    assert.deepEqual(faultsOf({ notes: [] }), { ...good, lost: 1 });
    assert.deepEqual(faultsOf({ notes: [{ mark: "w0" }, { mark: "w0" }] }), { ...good, doubled: 1 });
    assert.deepEqual(faultsOf({ parts: rows().parts.slice(1) }), { ...good, partial: 1 });
    assert.deepEqual(faultsOf({ parts: [...rows().parts, ...rows().parts] }), { ...good, doubled: 1 });
    const counted = rows().counters.map((row) => ({ ...row, count: row.count * 2 }));
    assert.deepEqual(faultsOf({ counters: counted }), { ...good, doubled: 1 });
    assert.deepEqual(faultsOf({ entries: [] }), { ...good, lost: 1, partial: 2 });
    const poorer = rows().accounts.map((row, i) => (i === 4 ? { ...row, money: row.money - 1 } : row));
    assert.deepEqual(faultsOf({ accounts: poorer }), { ...good, partial: 1 });
  });

  test("does not take what a held transaction holds for stored", () => {
    const tally = new Tally();
    const ledger = new Ledger(tally);
    ledger.close(lines(["put w0", "held w0"]));
    assert.throws(() => ledger.afterCrash(rows()), /rolled back/);
  });
});

function tick() {
  return new Promise((resolve) => setTimeout(resolve, 50));
}
