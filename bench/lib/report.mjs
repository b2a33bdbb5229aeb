/** `RESULTS.md` and its charts, from the samples of a run. */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { chart, curve } from "./chart.mjs";
import { FIGURES, growthOf, median, titleOf } from "./figures.mjs";
import { number, table, times } from "./text.mjs";

const OWN = "tidewire";
const GROUPS = {
  writes: "Writing",
  opening: "Opening",
  reads: "Reading",
  live: "Live queries and memory",
  sync: "Syncing",
};

/** Writes everything into `out`. */
export function writeReport(out, data) {
  mkdirSync(path.join(out, "charts"), { recursive: true });
  const figures = FIGURES.flatMap((figure) => cases(figure, data));
  const groups = Object.keys(GROUPS).filter((group) => figures.some((one) => one.group === group));
  for (const group of groups) {
    const panels = figures.filter((one) => one.group === group).map(panelOf);
    writeFileSync(path.join(out, "charts", `${group}.svg`), chart(panels));
  }
  const parts = [
    heading(data),
    summary(figures, data),
    ...groups.map((group) =>
      section(
        GROUPS[group],
        group,
        figures.filter((one) => one.group === group),
        data,
      ),
    ),
    growth(out, data),
    failures(data),
    peers(data),
  ];
  writeFileSync(path.join(out, "RESULTS.md"), `${parts.filter(Boolean).join("\n\n")}\n`);
  writeFileSync(path.join(out, "charts", "samples.json"), `${JSON.stringify(data)}\n`);
}

/** A figure at each durability that was measured, with its rows. */
function cases(figure, data) {
  const found = data.samples[figure.key] ?? {};
  return Object.keys(found).map((durability) => {
    const rows = data.order
      .filter((adapter) => found[durability][adapter] !== undefined)
      .map((adapter) => {
        const values = found[durability][adapter];
        const { name } = data.adapters[adapter];
        return {
          adapter,
          name,
          own: adapter === OWN,
          min: Math.min(...values),
          median: median(values),
          max: Math.max(...values),
          rounds: values.length,
        };
      });
    const title = `${titleOf(figure, data.sizes)}${durability === "" ? "" : `, ${durability}`}`;
    return { ...figure, title, rows, target: targetOf(figure, rows) };
  });
}

/** What is asked of Tidewire, or undefined where a peer that it is measured by did not run. */
function targetOf({ target, better }, rows) {
  const medians = new Map(rows.map((row) => [row.adapter, row.median]));
  const of = (adapter) => medians.get(adapter) ?? NaN;
  of.best = () => {
    const peers = rows.filter((row) => !row.own && row.adapter !== "indexeddb").map((row) => row.median);
    return peers.length === 0 ? NaN : better === "higher" ? Math.max(...peers) : Math.min(...peers);
  };
  const value = target?.(of);
  return Number.isFinite(value) ? value : undefined;
}

const panelOf = ({ title, unit, better, rows, target }) => ({ title, unit, better, rows, target });

/** How often what was measured most was measured. */
function roundsOf({ samples }) {
  const lists = Object.values(samples).flatMap((of) => Object.values(of).flatMap((one) => Object.values(one)));
  return Math.max(1, ...lists.map((list) => list.length));
}

function heading(data) {
  const { about, sessions } = data;
  const load = (list) => list.map((one) => one.toFixed(1)).join(", ");
  // The run has not begun then: whatever is in this number is others' work.
  const busy = about.loadBefore[0] > 1;
  const commit = about.commit ? ` Tidewire at ${about.commit}.` : "";
  const count = roundsOf(data);
  const once = Number.isFinite(about.slowOnce)
    ? ` What took a library over ${about.slowOnce} s was measured in the first round only ("1 of ${count}").`
    : "";
  const rounds = `${count} round${count === 1 ? "" : "s"}`;
  const lines = [
    "# Results of the benchmark",
    "",
    "Written by `npm run bench`; how it measures is in [README.md](README.md).",
    about.quick ? "**A quick run with small sizes: it shows that the results are right, not how fast.**" : "",
    busy
      ? "**The machine was busy with other work: times are too long and uneven; read ratios, and those with care.**"
      : "",
    about.whole ? "" : `A part of the benchmark: ${sessions.join(", ")}.`,
    "",
    `- ${about.began} to ${about.ended}; ${rounds}; medians are shown, with the least and the most.${once}`,
    `- ${about.machine}; Chromium ${about.chromium} (headless), Node ${about.node}.${commit}`,
    `- Load average (1, 5, 15 minutes) ${load(about.loadBefore)} at the start, ${load(about.loadAfter)} at the end.`,
    "  The benchmark itself keeps about one core busy: much more than 1 at the start means that others disturbed it,",
    "  and then only ratios mean anything.",
    "- Documents have 14 fields, about 460 bytes of JSON. `strict`: flushed to the disk before the promise resolves;",
    "  `relaxed`: handed to the operating system. A library that has one of them is in the tables of that one.",
  ];
  return lines.join("\n");
}

/** One line for each figure: Tidewire, the best peer, what is asked, and whether it is reached. */
function summary(figures, { lacking }) {
  const rows = figures
    .map((figure) => ({ figure, own: figure.rows.find((row) => row.own), best: bestPeer(figure) }))
    .filter(({ figure, own }) => own !== undefined || lacking[figure.key]?.includes(OWN))
    .map(({ figure, own, best }) => {
      if (own === undefined) {
        return [figure.title, figure.unit, "not there yet", `${best.name} ${number(best.median)}`, "–", "–", "no"];
      }
      const asked = figure.target === undefined ? "–" : `${sign(figure)} ${number(figure.target)} (${figure.wanted})`;
      const peer =
        best === undefined ? ["–", "–"] : [`${best.name} ${number(best.median)}`, times(ratio(figure, own, best))];
      return [figure.title, figure.unit, number(own.median), ...peer, asked, verdict(figure, own)];
    });
  const head = ["figure", "unit", "Tidewire", "best other", "Tidewire is", "asked", "reached"];
  return rows.length === 0 ? "" : `## In short\n\n${table(head, rows)}`;
}

const sign = ({ better }) => (better === "higher" ? "≥" : "≤");

function verdict({ better, target }, own) {
  if (target === undefined) return "–";
  const reached = better === "higher" ? own.median >= target : own.median <= target;
  return reached ? "yes" : `no, ${times(better === "higher" ? target / own.median : own.median / target)} away`;
}

function bestPeer({ better, rows }) {
  const peers = rows.filter((row) => !row.own);
  return peers.sort((a, b) => (better === "higher" ? b.median - a.median : a.median - b.median))[0];
}

/** How many times as good Tidewire is. */
const ratio = ({ better }, own, peer) => (better === "higher" ? own.median / peer.median : peer.median / own.median);

function section(title, group, figures, data) {
  const rounds = roundsOf(data);
  const isOnce = (row) => Number.isFinite(data.about.slowOnce) && row.rounds < rounds;
  const tables = figures.map((figure) => {
    const own = figure.rows.find((row) => row.own);
    const best = [...figure.rows].sort((a, b) =>
      figure.better === "higher" ? b.median - a.median : a.median - b.median,
    );
    const rows = best.map((row) => [
      `${row.own ? `**${row.name}**` : row.name}${isOnce(row) ? ` (${row.rounds} of ${rounds})` : ""}`,
      ...[row.median, row.min, row.max].map(number),
      row.own || own === undefined ? "" : times(ratio(figure, own, row)),
    ]);
    const head = [
      `${figure.unit}, ${figure.better === "higher" ? "more" : "less"} is better`,
      "median",
      "min",
      "max",
      "Tidewire is",
    ];
    return `### ${figure.title}\n\n${table(head, rows)}${lacksIn(figure, data)}`;
  });
  return [`## ${title}`, `![${title}](charts/${group}.svg)`, ...tables].join("\n\n");
}

function lacksIn({ key }, { lacking: lists, adapters }) {
  const list = lists[key] ?? [];
  const peersText = list
    .filter((one) => one !== OWN)
    .map((one) => adapters[one].name)
    .join(", ");
  const own = list.includes(OWN) ? "\n\nTidewire: not there yet." : "";
  return `${own}${peersText === "" ? "" : `\n\nNo such thing in: ${peersText}.`}`;
}

const CURVES = {
  insert: ["Inserts, 5,000 in one call (asked: linear, so the same rate)", "/s"],
  get: ["Get by id, the first time (asked: flat)", "µs"],
  page: ["Page of 50 with a new threshold", "ms"],
  edits: ["Random single edits, 100 at a time, idle work included", "/s"],
  amplification: ["Bytes written for each byte of edited documents (asked: at most 3.5, and flat)", "x"],
};
const GROWTH =
  "`grows` is the power of the number of documents that the values fit best: 0 is flat, 1 in proportion to it.";

/** The curves of growth: a table and a chart for each. */
function growth(out, { curves, adapters }) {
  const parts = Object.entries(CURVES)
    .filter(([key]) => curves[key] !== undefined)
    .map(([key, [title, unit]]) => {
      const counts = [...new Set(Object.values(curves[key]).flatMap((of) => Object.keys(of).map(Number)))];
      counts.sort((a, b) => a - b);
      const series = Object.entries(curves[key]).map(([adapter, of]) => ({
        name: adapters[adapter].name,
        own: adapter === OWN,
        points: counts.filter((count) => of[count] !== undefined).map((count) => [count, median(of[count])]),
      }));
      writeFileSync(path.join(out, "charts", `curve-${key}.svg`), curve({ title, unit, series }));
      const at = (points, count) => number(points.find((point) => point[0] === count)?.[1]);
      const rows = series.map(({ name, own, points }) => [
        own ? `**${name}**` : name,
        ...counts.map((count) => at(points, count)),
        growthOf(points).toFixed(2),
      ]);
      const head = [`${unit}, by documents stored`, ...counts.map((count) => count.toLocaleString("en")), "grows"];
      return `### ${title}\n\n![${title}](charts/curve-${key}.svg)\n\n${table(head, rows)}`;
    });
  return parts.length === 0 ? "" : ["## Growth", GROWTH, ...parts].join("\n\n");
}

function failures({ failed, adapters }) {
  const rows = Object.entries(failed).flatMap(([session, of]) =>
    Object.entries(of).map(([adapter, messages]) => [
      session,
      adapters[adapter].name,
      messages[0].replaceAll("|", "/"),
    ]),
  );
  return rows.length === 0
    ? ""
    : `## What failed\n\nNo figure is shown of what failed.\n\n${table(["session", "adapter", "why"], rows)}`;
}

function peers({ adapters, order }) {
  const rows = order.map((adapter) => {
    const { name, versions, storage, durabilities, setting, docs } = adapters[adapter];
    const packages = Object.entries(versions)
      .map(([one, version]) => `${one} ${version}`)
      .join(", ");
    return [name, packages || "–", storage, durabilities.join(", "), setting, docs];
  });
  const head = ["adapter", "versions", "where", "durability", "setting", "the page that recommends it"];
  return `## Who took part\n\n${table(head, rows)}`;
}
