/** Numbers as a person reads them. */
export function number(value) {
  if (value === undefined || Number.isNaN(value)) return "–";
  if (value >= 1_000) return Math.round(Number(value.toPrecision(3))).toLocaleString("en");
  if (value >= 100) return value.toFixed(0);
  if (value >= 10) return value.toFixed(1).replace(/\.0$/, "");
  return String(Number(value.toPrecision(2)));
}

/** A ratio: 0.63 x, 12 x. */
export function times(value) {
  return Number.isFinite(value)
    ? `${value >= 10 ? Math.round(value).toLocaleString("en") : Number(value.toPrecision(2))} x`
    : "–";
}

/** A Markdown table. */
export function table(head, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, at) => (at === 0 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}
