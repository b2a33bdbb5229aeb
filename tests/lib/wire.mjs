/** What travels, the same for every engine: compressed where it is worth it, and counted as the proxy counts it. */
import assert from "node:assert/strict";

import { until } from "./until.mjs";

/** A page of this machine is asked to compress, too. */
export const WIRE_CONFIG = '[server]\ncompression = "always"\n';

const ROWS = 300;

/** `tells`: whether this browser tells a page how long the compressed answer of another origin was. */
export async function wireJourney(world, { tells = true } = {}) {
  const writer = await world.device({ name: "writer" });
  const frames = framesOf(writer.proxy);
  await writer.synced();
  await writer.run(() => window.tw.db.todos.insert({ title: "small" }));
  await writer.synced();
  await writer.run(async (count) => {
    const { db } = window.tw;
    const text = (i) => `The ${i}th of many rows that say nearly the same thing`;
    await Promise.all(Array.from({ length: count }, (_, i) => db.todos.insert({ title: text(i), note: text(i) })));
  }, ROWS);
  await writer.synced();
  const pushes = writer.proxy.seen("push");
  for (const { encoding, body } of pushes) assert.equal(encoding === "gzip", body.length > 8 * 1024, `${body.length}`);
  assert.deepEqual(new Set(pushes.map(({ encoding }) => encoding)), new Set([undefined, "gzip"]), "there were both");
  const sent = await countsAgree(writer, frames, tells);
  assert.ok(sent.wireUp * 3 < sent.bytesUp, JSON.stringify(sent));

  const reader = await world.device({ name: "reader", line: (proxy) => (proxy.frames = framesOf(proxy)) });
  await reader.agrees("todos", await world.rows("todos"));
  const answered = reader.proxy.seen("pull").map((entry) => entry.answered);
  assert.ok(/^(zstd|br|gzip)$/.test(answered[0]), `the first pull was answered with ${answered[0]}`);
  const got = await countsAgree(reader, reader.proxy.frames, tells);
  if (tells) assert.ok(got.wireDown * 3 < got.bytesDown, JSON.stringify(got));
}

/** Counts the bytes of the messages that arrive on the live channel. */
function framesOf(proxy) {
  const seen = { bytes: 0 };
  proxy.onFrame = (frame) => {
    seen.bytes += Buffer.byteLength(frame.text);
    return [frame];
  };
  return seen;
}

/** What the device says of its traffic becomes what the proxy saw. */
function countsAgree({ proxy, first }, frames, tells) {
  return until("the device counts what the proxy counts", async () => {
    const { bytesUp, bytesDown, wireUp, wireDown } = await first.run(async () => ({
      ...(await window.tw.db.sync.metrics.get()),
    }));
    const sum = (of) => proxy.log.reduce((all, entry) => all + (of(entry) ?? 0), 0);
    const seen = { bytesUp: sum(({ body }) => Buffer.byteLength(body)), wireUp: sum(({ up }) => up) };
    const down = sum((entry) => entry.down) + frames.bytes;
    const found = JSON.stringify({ bytesUp, wireUp, wireDown });
    const expected = JSON.stringify({ ...seen, wireDown: tells ? down : null });
    return found === expected
      ? { bytesUp, bytesDown, wireUp, wireDown }
      : Promise.reject(new Error(`${found}, but the proxy saw ${expected}`));
  });
}
