/** Narrows live rows by a text. The engine filters and sorts; this step folds case and accents, as people expect. */
import { useDeferredValue, useMemo } from "react";
import { count, fold, formatNumber } from "../lib/format.ts";

export function useSearch<T>(rows: readonly T[], text: string, textOf: (row: T) => string): readonly T[] {
  const needle = fold(useDeferredValue(text)).trim();
  return useMemo(
    () => (needle ? rows.filter((row) => fold(textOf(row)).includes(needle)) : rows),
    [rows, needle, textOf],
  );
}

export function summarize(shown: number, all: number, one: string, many?: string): string {
  return shown === all ? count(all, one, many) : `${formatNumber(shown)} of ${count(all, one, many)}`;
}
