/**
 * PowerSync's public matrix with real processes: clients, rates and faults in turns, each run with a seed of its own.
 * TIDEWIRE_RUNS and TIDEWIRE_RUN_SECONDS say how many and how long; TIDEWIRE_SEED is the first seed; TIDEWIRE_FAULTS
 * names some of the faults.
 */
import { after, describe } from "node:test";

import { FAULTS, SETTLE_MS, run } from "../lib/matrix.mjs";
import { scenario, useStack } from "../lib/stack.mjs";

const LONG = Boolean(process.env.TIDEWIRE_LONG);
const RUNS = Number(process.env.TIDEWIRE_RUNS ?? (LONG ? 100 : 2));
const SECONDS = Number(process.env.TIDEWIRE_RUN_SECONDS ?? (LONG ? 20 : 6));
const SEED = Number(process.env.TIDEWIRE_SEED ?? Math.floor(Math.random() * 2 ** 31));
/** The first runs are the short form: those that others fail most. */
const ORDER = /** @type {(keyof typeof FAULTS)[]} */ (
  process.env.TIDEWIRE_FAULTS?.split(",") ?? ["partition", "kill", "pause", "disconnect", "none"]
);
const RATES = [20, 40, 10, 30];

describe("clients that write at a rate while things break", () => {
  const stack = useStack();
  const total = { runs: 0, acked: 0, looks: 0, slowest: 0 };

  for (let i = 0; i < RUNS; i += 1) {
    const settings = {
      clients: i % 2 === 0 ? 5 : 10,
      rate: RATES[Math.floor(i / 2) % RATES.length],
      seconds: SECONDS,
      fault: ORDER[i % ORDER.length],
      seed: SEED + i,
    };
    const { clients, rate, fault, seed } = settings;
    const name = `run ${i + 1}: ${clients} clients, ${rate} transactions a second, ${fault} (seed ${seed})`;
    scenario(
      stack,
      name,
      async (world) => {
        const { acked, looks, reached, settledMs, faults } = await run(world, settings);
        const told = `${acked} acknowledged, ${reached.toFixed(1)}/s, ${looks} looks`;
        console.log(`${name}: ${told}, faults ${JSON.stringify(faults)}, the same after ${Math.round(settledMs)} ms`);
        total.runs += 1;
        total.acked += acked;
        total.looks += looks;
        total.slowest = Math.max(total.slowest, settledMs);
      },
      { timeoutMs: SETTLE_MS + 60_000 + SECONDS * 2_000 },
    );
  }

  after(() => {
    const { runs, acked, looks, slowest } = total;
    const counted = `${acked} transactions acknowledged, ${looks} looks`;
    console.log(`matrix: ${runs} of ${RUNS} runs good, ${counted}; slowest to agree ${Math.round(slowest)} ms`);
  });
});
