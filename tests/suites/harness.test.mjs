/** The tools of these tests, on a stand-in for the server: a fault that does not happen would let a test pass. */
import assert from "node:assert/strict";
import http from "node:http";
import { after, before, describe, test } from "node:test";

import * as faults from "../lib/faults.mjs";
import { FrameSplitter } from "../lib/frames.mjs";
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

function tick() {
  return new Promise((resolve) => setTimeout(resolve, 50));
}
