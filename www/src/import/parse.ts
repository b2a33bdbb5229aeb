/** A file becomes rows. JSON (a list, one list inside an object, or one object a line) and CSV with a heading line. */
import Papa from "papaparse";

export type RawRow = Record<string, unknown>;

export interface RowError {
  /** Counted from 1, as people count. */
  row: number;
  code: string;
  path: string;
  message: string;
}

export interface Parsed {
  rows: { n: number; value: RawRow }[];
  errors: RowError[];
}

export class UnreadableFile extends Error {}

export const fileBytesMax = 64 * 1024 * 1024;

export async function parseFile(file: File): Promise<Parsed> {
  if (file.size > fileBytesMax)
    throw new UnreadableFile("The file is larger than 64 MB. Split it and import the parts.");
  const text = await file.text();
  if (text.trim() === "") throw new UnreadableFile("The file is empty.");
  return isCsv(file, text) ? parseCsv(text) : parseJson(text);
}

function isCsv(file: File, text: string): boolean {
  if (/\.(csv|tsv)$/i.test(file.name)) return true;
  if (/\.(json|ndjson|jsonl)$/i.test(file.name)) return false;
  return !/^\s*[[{]/.test(text);
}

/** Cells stay text, exactly as written: "007" is not 7. Who imports into a typed collection converts them there. */
function parseCsv(text: string): Parsed {
  const result = Papa.parse<RawRow>(text, {
    header: true,
    skipEmptyLines: "greedy",
    transformHeader: (name) => name.trim(),
  });
  const errors = result.errors
    .filter((error) => error.code !== "UndetectableDelimiter")
    .map((error) => ({ row: (error.row ?? 0) + 1, code: error.code, path: "", message: error.message }));
  const broken = new Set(errors.map(({ row }) => row));
  const rows = result.data.map((value, index) => ({ n: index + 1, value })).filter(({ n }) => !broken.has(n));
  return { rows, errors };
}

export function parseJson(text: string): Parsed {
  let list: unknown[];
  try {
    list = findList(JSON.parse(text) as unknown);
  } catch (error) {
    const lines = parseLines(text);
    if (lines) return lines;
    throw new UnreadableFile(`This is not valid JSON: ${(error as Error).message}.`);
  }
  return { rows: list.map((value, index) => ({ n: index + 1, value: asRow(value) })), errors: [] };
}

/** One JSON value a line. Only taken for that when the first line alone is one. */
function parseLines(text: string): Parsed | undefined {
  const lines = text.split("\n");
  const parsed: Parsed = { rows: [], errors: [] };
  for (const [index, line] of lines.entries()) {
    if (line.trim() === "") continue;
    try {
      parsed.rows.push({ n: index + 1, value: asRow(JSON.parse(line)) });
    } catch (error) {
      if (parsed.rows.length === 0) return undefined;
      parsed.errors.push({ row: index + 1, code: "bad-json", path: "", message: (error as Error).message });
    }
  }
  return parsed;
}

function findList(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  if (typeof value === "object" && value !== null) {
    const lists = Object.values(value).filter(Array.isArray);
    if (lists.length === 1 && lists[0]) return lists[0];
  }
  return [value];
}

function asRow(value: unknown): RawRow {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? (value as RawRow) : { value };
}
