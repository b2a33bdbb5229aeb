/**
 * Charts as SVG: for each figure one panel, a row for each adapter on a logarithmic scale, the best on top. A dot is a
 * median, a line goes from the least to the most. Tidewire is the filled one.
 */
import { number } from "./text.mjs";

const WIDTH = 860;
const LEFT = 190;
const RIGHT = 120;
const ROW = 20;
const HEAD = 34;
const GAP = 18;
const INK = "#1f2933";
const FAINT = "#d5dbe1";
const MUTED = "#66727f";
const OWN = "#0b6e99";

/** Panels: `{ title, unit, better, rows: [{ name, own, min, median, max }], target }`. */
export function chart(panels) {
  let y = 12;
  const parts = panels.map((panel) => {
    const drawn = drawPanel(panel, y);
    y += HEAD + panel.rows.length * ROW + GAP;
    return drawn;
  });
  const style = `font-family="system-ui, sans-serif" font-size="12" fill="${INK}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" ${style}>`,
    `<rect width="${WIDTH}" height="${y}" fill="#ffffff"/>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

function drawPanel({ title, unit, better, rows, target }, top) {
  const scale = scaleOf([...rows.flatMap(({ min, max }) => [min, max]), ...(target > 0 ? [target] : [])]);
  const bottom = top + HEAD + rows.length * ROW - 4;
  const note = `${unit}, ${better === "higher" ? "more is better →" : "← less is better"}`;
  const lines = [
    text(12, top + 14, title, { weight: 600 }),
    text(WIDTH - 12, top + 14, note, { anchor: "end", fill: MUTED, size: 11 }),
    ...scale.ticks.map((tick) => line(scale.at(tick), top + HEAD - 8, scale.at(tick), bottom, FAINT, 1)),
    ...scale.ticks.map((tick) =>
      text(scale.at(tick), top + HEAD - 11, number(tick), { anchor: "middle", fill: MUTED, size: 9 }),
    ),
  ];
  if (target > 0) lines.push(line(scale.at(target), top + HEAD - 8, scale.at(target), bottom, "#c2410c", 1.5, "3 3"));
  const best = [...rows].sort((a, b) => (better === "higher" ? b.median - a.median : a.median - b.median));
  best.forEach((row, at) => lines.push(drawRow(row, top + HEAD + at * ROW + 8, scale)));
  return lines.join("\n");
}

function drawRow({ name, own, min, median, max }, y, { at }) {
  const color = own ? OWN : MUTED;
  const weight = own ? 700 : 400;
  const inner = own ? OWN : "#ffffff";
  return [
    text(LEFT - 12, y + 4, name, { anchor: "end", fill: own ? OWN : INK, weight }),
    line(at(min), y, at(max), y, color, own ? 4 : 2),
    `<circle cx="${at(median).toFixed(1)}" cy="${y}" r="5" fill="${inner}" stroke="${color}" stroke-width="2"/>`,
    text(WIDTH - 12, y + 4, number(median), { anchor: "end", fill: own ? OWN : INK, weight }),
  ].join("\n");
}

/** A logarithmic scale over all values, with ticks at powers of ten. */
function scaleOf(values) {
  const low = Math.log10(Math.min(...values)) - 0.15;
  const high = Math.max(Math.log10(Math.max(...values)) + 0.15, low + 0.5);
  const at = (value) => LEFT + ((Math.log10(value) - low) / (high - low)) * (WIDTH - LEFT - RIGHT);
  const ticks = [];
  for (let power = Math.ceil(low); power <= high; power += 1) ticks.push(10 ** power);
  return { at, ticks };
}

/** Curves of growth: `{ title, unit, series: [{ name, own, points: [[x, y]] }] }`, both scales logarithmic. */
export function curve({ title, unit, series }) {
  const height = 320;
  const points = series.flatMap((one) => one.points);
  const x = axis(
    points.map((point) => point[0]),
    LEFT - 110,
    WIDTH - 180,
  );
  const y = axis(
    points.map((point) => point[1]),
    height - 40,
    50,
  );
  const path = (list) =>
    list.map(([a, b], at) => `${at ? "L" : "M"}${x.at(a).toFixed(1)} ${y.at(b).toFixed(1)}`).join(" ");
  const drawn = series.map(({ name, own, points: list }) => {
    const [lastX, lastY] = list.at(-1);
    const stroke = own ? OWN : MUTED;
    return [
      `<path d="${path(list)}" fill="none" stroke="${stroke}" stroke-width="${own ? 3 : 1.5}"/>`,
      ...list.map(
        ([a, b]) => `<circle cx="${x.at(a).toFixed(1)}" cy="${y.at(b).toFixed(1)}" r="3" fill="${stroke}"/>`,
      ),
      text(x.at(lastX) + 8, y.at(lastY) + 4, `${name} ${number(lastY)}`, {
        fill: own ? OWN : INK,
        weight: own ? 700 : 400,
        size: 11,
      }),
    ].join("\n");
  });
  const xs = [...new Set(points.map((point) => point[0]))];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}"` +
      ` font-family="system-ui, sans-serif" font-size="12" fill="${INK}">`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    text(12, 22, `${title}, ${unit}`, { weight: 600 }),
    ...xs.map((value) =>
      text(x.at(value), height - 18, value.toLocaleString("en"), { anchor: "middle", fill: MUTED, size: 10 }),
    ),
    ...y.ticks.map((tick) => line(80, y.at(tick), WIDTH - 180, y.at(tick), FAINT, 1)),
    ...y.ticks.map((tick) => text(72, y.at(tick) + 4, number(tick), { anchor: "end", fill: MUTED, size: 10 })),
    ...drawn,
    "</svg>\n",
  ].join("\n");
}

function axis(values, from, to) {
  const low = Math.log10(Math.min(...values)) - 0.1;
  const high = Math.max(Math.log10(Math.max(...values)) + 0.1, low + 0.3);
  const at = (value) => from + ((Math.log10(value) - low) / (high - low)) * (to - from);
  const ticks = [];
  for (let power = Math.floor(low); power <= high; power += 1)
    for (const step of [1, 3])
      if (step * 10 ** power >= 10 ** low && step * 10 ** power <= 10 ** high) ticks.push(step * 10 ** power);
  return { at, ticks };
}

function line(x1, y1, x2, y2, stroke, width, dash) {
  const at = [
    ["x1", x1],
    ["y1", y1],
    ["x2", x2],
    ["y2", y2],
  ].map(([name, value]) => `${name}="${value.toFixed(1)}"`);
  const dashes = dash ? ` stroke-dasharray="${dash}"` : "";
  return `<line ${at.join(" ")} stroke="${stroke}" stroke-width="${width}" stroke-linecap="round"${dashes}/>`;
}

function text(x, y, content, { anchor = "start", fill = INK, weight = 400, size = 12 } = {}) {
  const safe = String(content).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const look = `text-anchor="${anchor}" fill="${fill}" font-weight="${weight}" font-size="${size}"`;
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${look}>${safe}</text>`;
}
