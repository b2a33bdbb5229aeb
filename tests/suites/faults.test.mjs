/** A bad network and a server in trouble: nothing is lost, nothing is done twice. */
import assert from "node:assert/strict";
import { describe } from "node:test";

import * as faults from "../lib/faults.mjs";
import { scenario, useStack } from "../lib/stack.mjs";
import { until } from "../lib/until.mjs";

describe("the server commits and the response is lost", () => {
  const stack = useStack();

  const cases = {
    "the connection is cut": faults.loseAnswer,
    "half of the answer arrives": faults.loseHalfAnswer,
    "the request is doubled": faults.double,
    "the request is doubled at the same moment": faults.doubleAtOnce,
  };
  for (const [how, fault] of Object.entries(cases)) {
    scenario(stack, `an increment is applied once when ${how}`, async (world) => {
      const { device, id } = await counter(world);
      const rule = device.proxy.next("/push", 2, fault);
      await increment(device, id, 1);
      await device.drained();
      await increment(device, id, 1);
      await device.synced();
      assert.ok(rule.met() >= 1, "the fault happened");
      await counts(world, device, id, 2);
    });
  }

  scenario(stack, "an increment is applied once when an old push arrives after the new one", async (world) => {
    const { device, id } = await counter(world);
    const { fault, release } = faults.late();
    device.proxy.next("/push", 1, fault);
    await increment(device, id, 1);
    await device.drained();
    await increment(device, id, 1);
    await device.drained();
    const answer = await release();
    assert.ok(answer.status < 500, `the late push is answered, not failed: ${answer.status}`);
    await counts(world, device, id, 2);
  });

  scenario(stack, "every increment counts once while the server is killed and started again", async (world) => {
    const { device, id } = await counter(world);
    const total = 60;
    const writing = device.run(
      async ({ id: wanted, times }) => {
        for (let i = 0; i < times; i += 1) await window.tw.db.todos.update(wanted, { votes: window.tw.inc(1) });
      },
      { id, times: total },
    );
    for (const seen of [1, 4]) {
      await until("pushes on their way", () => device.proxy.seen("/push").length >= seen, { timeoutMs: 5_000 }).catch(
        () => undefined,
      );
      await world.server.kill();
      await world.server.start();
    }
    await writing;
    await increment(device, id, 1);
    await device.synced();
    await counts(world, device, id, total + 1);
  });
});

describe("the server commits a push on the live channel, and the channel is cut before the answer", () => {
  const stack = useStack();
  // After three in a row a device keeps to requests.
  const ROUNDS = 3;

  for (const hears of [false, true]) {
    const what = hears ? "has heard of its own change" : "has heard of nothing";
    scenario(stack, `every increment counts once when the device ${what}`, async (world) => {
      const { device, id } = await counter(world);
      const { proxy } = device;
      const before = proxy.seen("/push").length;
      let [armed, readies] = [false, 0];
      proxy.onFrame = (frame) => {
        const { t } = JSON.parse(frame.text);
        if (t === "ready") readies += 1;
        if (armed && t === "answer") return void (armed = false);
        return armed && t === "frame" && !hears ? [] : [frame];
      };
      for (let round = 1; round <= ROUNDS; round += 1) {
        armed = true;
        await increment(device, id, 1);
        await device.drained();
        await until("the channel stands again", () => readies === round);
        // Until a request was answered the channel is not trusted.
        await increment(device, id, 1);
        await device.synced();
      }
      const pushes = proxy.seen("/push").slice(before);
      const numbersOf = (method) =>
        pushes
          .filter((push) => push.method === method)
          .map(({ body }) => JSON.stringify(JSON.parse(body).mutations.map(({ n }) => n)));
      const [said, posted] = [numbersOf("SAY"), numbersOf("POST")];
      // What a frame, or the pull behind it, told of is not sent again; what is sent again is sent under its number.
      assert.equal(new Set([...said, ...posted]).size, 2 * ROUNDS, `${said}; ${posted}`);
      assert.ok(new Set(said).size >= ROUNDS && new Set(posted).size === posted.length, `${said}; ${posted}`);
      await counts(world, device, id, 2 * ROUNDS);
    });
  }
});

describe("live frames", () => {
  const stack = useStack();
  const isFrame = (frame) => /"t":"frame"/.test(frame.text);

  const cases = {
    doubled: () => (frame) => (isFrame(frame) ? [frame, frame] : [frame]),
    dropped: () => {
      let count = 0;
      return (frame) => (isFrame(frame) && (count += 1) % 2 === 1 ? [] : [frame]);
    },
    reordered: () => {
      let held = [];
      return (frame) => {
        if (!isFrame(frame)) return [frame];
        const arrived = held.length === 0 ? [] : [frame, ...held];
        held = held.length === 0 ? [frame] : [];
        return arrived;
      };
    },
  };
  for (const [how, fault] of Object.entries(cases)) {
    scenario(stack, `may be ${how}: the reader ends where the server is and never goes back`, async (world) => {
      const { device: writer, id } = await counter(world);
      const reader = await world.device({ user: "bob" });
      await reader.synced();
      await reader.run(watchVotes, id);
      let met = 0;
      const onFrame = fault();
      reader.proxy.onFrame = (frame) => {
        met += isFrame(frame) ? 1 : 0;
        return onFrame(frame);
      };
      for (let round = 1; round <= 7; round += 1) {
        if (round === 7) reader.proxy.onFrame = (frame) => [frame];
        await increment(writer, id, 1);
        await writer.drained();
      }
      await reader.agrees("todos", await world.rows("todos"));
      const seen = await reader.run(() => window.tw.votes);
      assert.deepEqual(
        seen,
        [...seen].sort((a, b) => a - b),
        "votes only grow",
      );
      assert.equal(seen.at(-1), 7);
      assert.ok(met > 0, "frames came");
    });
  }
});

describe("a server in trouble", () => {
  const stack = useStack();

  for (const status of [500, 502, 503]) {
    scenario(stack, `${status} is waited out and counted against no mutation`, async (world) => {
      const { device, id } = await counter(world);
      const rule = device.proxy.next("/push", 2, faults.answer(status, "server-error"));
      await increment(device, id, 3);
      await device.synced();
      assert.equal(rule.met(), 2);
      await counts(world, device, id, 3);
      assert.deepEqual((await device.queue()).failed, []);
    });
  }

  scenario(stack, "429 is obeyed: no push before Retry-After is over", async (world) => {
    const { device, id } = await counter(world);
    device.proxy.next("/push", 1, faults.answer(429, "rate-limited", { "retry-after": "2" }));
    const seenBefore = device.proxy.seen("/push").length;
    await increment(device, id, 1);
    await device.synced();
    const [refused, next] = device.proxy.seen("/push").slice(seenBefore);
    assert.equal(refused.status, 429);
    assert.ok(next.at - refused.at >= 1_950, `came back after ${Math.round(next.at - refused.at)} ms`);
    await counts(world, device, id, 1);
  });

  scenario(stack, "413 halves the push until it fits", async (world) => {
    const device = await world.device();
    await device.synced();
    device.offline();
    await device.run(async () => {
      await Promise.all(Array.from({ length: 64 }, (_, i) => window.tw.db.todos.insert({ title: `todo ${i}` })));
    });
    const sizes = [];
    device.proxy.next("/push", 1_000, (exchange) => {
      const count = JSON.parse(exchange.entry.body).mutations.length;
      sizes.push(count);
      return count > 20 ? faults.answer(413, "too-large")(exchange) : exchange.pass();
    });
    device.online();
    await device.synced();
    assert.equal((await world.rows("todos")).size, 64);
    const refused = sizes.flatMap((count, i) => (count > 20 ? [[count, sizes[i + 1]]] : []));
    assert.ok(refused.length > 0, `a push was too large: ${sizes}`);
    const notHalved = refused.filter(([count, next]) => next > count / 2);
    assert.deepEqual(notHalved, [], `each is followed by one half as large: ${sizes}`);
    assert.deepEqual((await device.queue()).failed, []);
  });

  scenario(stack, "a page in place of an answer (captive portal) changes nothing", async (world) => {
    const { device, id } = await counter(world);
    const push = device.proxy.next("/push", 2, faults.portal);
    const pull = device.proxy.next("/pull", 1, faults.portal);
    await increment(device, id, 1);
    await device.run(() => void window.tw.db.sync.now().catch(() => undefined));
    await device.synced();
    assert.equal(push.met(), 2);
    pull.stop();
    await counts(world, device, id, 1);
  });
});

describe("401 in the middle of the queue", () => {
  const stack = useStack();

  scenario(stack, "sync pauses, takes a new token, goes on, and nothing counts against a mutation", async (world) => {
    const { device, id } = await counter(world);
    const dead = device.proxy.next("/push", 1_000, faults.answer(401, "unauthorized"));
    const good = await device.run(() => {
      const { token } = window.tw;
      window.tw.token = null;
      return token;
    });
    await increment(device, id, 5);
    await device.until("paused for want of a token", () => {
      const status = window.tw.db.sync.status.peek();
      return status.state === "paused" && status.reason === "auth";
    });
    const queue = await device.queue();
    assert.ok(queue.pending.length > 0);
    assert.deepEqual(
      queue.pending.map((entry) => entry.attempts),
      queue.pending.map(() => 0),
      "no attempt is counted",
    );
    assert.deepEqual(queue.failed, []);
    assert.ok((await device.run(() => window.tw.asked)).includes("rejected"), "the app was asked for a new token");
    await device.run(async () => void (await window.tw.db.todos.insert({ title: "written while paused" })));
    dead.stop();
    await device.run((token) => {
      window.tw.token = token;
      window.tw.db.sync.resume();
    }, good);
    await device.synced();
    await counts(world, device, id, 5);
    assert.equal((await world.rows("todos")).size, 2);
  });

  scenario(stack, "a token that the app can renew is renewed without a pause for the user", async (world) => {
    const { device, id } = await counter(world);
    const rule = device.proxy.next("/push", 1, faults.answer(401, "unauthorized"));
    await increment(device, id, 1);
    await device.synced();
    assert.equal(rule.met(), 1);
    await counts(world, device, id, 1);
  });
});

/** A device with one entity, synced, whose `votes` are 0. */
async function counter(world) {
  const device = await world.device();
  const id = await device.run(async () => {
    const write = window.tw.db.todos.insert({ title: "counted", votes: 0 });
    await write;
    return write.id;
  });
  await device.synced();
  return { device, id };
}

function increment(device, id, times) {
  return device.run(
    async (arg) => {
      for (let i = 0; i < arg.times; i += 1) await window.tw.db.todos.update(arg.id, { votes: window.tw.inc(1) });
    },
    { id, times },
  );
}

/** The server, this device and a new one all count the same. */
async function counts(world, device, id, votes) {
  const stored = await world.rows("todos");
  assert.equal(stored.get(id).votes, votes, "on the server");
  await device.agrees("todos", stored);
  const second = await world.device({ user: "bob", name: "second" });
  await second.agrees("todos", stored);
}

/** Runs in the page: writes down every value that a live row shows. */
async function watchVotes(id) {
  window.tw.votes = [];
  const live = window.tw.db.todos.live(id);
  await live.get();
  live.subscribe((row) => void window.tw.votes.push(row.votes));
}
