/** Two texts compared word by word: what stayed, what came, what went. Words as the language of the text has them. */

export interface Piece {
  readonly kind: "same" | "added" | "removed";
  readonly text: string;
}

/** Longer middles than this (words of one times words of the other) are shown as one replaced piece. */
const cellsMax = 400_000;
const segmenter = new Intl.Segmenter(undefined, { granularity: "word" });

export function diffWords(before: string, after: string): readonly Piece[] {
  const old = split(before);
  const fresh = split(after);
  let start = 0;
  while (start < old.length && start < fresh.length && same(old[start], fresh[start])) start += 1;
  let end = 0;
  const room = Math.min(old.length, fresh.length) - start;
  while (end < room && same(old[old.length - 1 - end], fresh[fresh.length - 1 - end])) end += 1;
  const pieces: Piece[] = [
    { kind: "same", text: fresh.slice(0, start).join("") },
    ...middle(old.slice(start, old.length - end), fresh.slice(start, fresh.length - end)),
    { kind: "same", text: fresh.slice(fresh.length - end).join("") },
  ];
  return joined(pieces);
}

/** A word keeps the space behind it, so that a space never stands alone between two changed words. */
function split(text: string): string[] {
  const words: string[] = [];
  for (const { segment } of segmenter.segment(text)) {
    if (words.length > 0 && segment.trim() === "") words[words.length - 1] += segment;
    else words.push(segment);
  }
  return words;
}

/** Spaces at the end do not make another word; a line break does. */
function same(one: string | undefined, other: string | undefined): boolean {
  return one === other || (one !== undefined && other !== undefined && bare(one) === bare(other));
}

function bare(word: string): string {
  return word.trimEnd() + (word.includes("\n") ? "\n" : "");
}

function middle(old: readonly string[], fresh: readonly string[]): Piece[] {
  if (old.length * fresh.length > cellsMax) {
    return [
      { kind: "removed", text: old.join("") },
      { kind: "added", text: fresh.join("") },
    ];
  }
  const common = lengths(old, fresh);
  const pieces: Piece[] = [];
  let [i, j] = [0, 0];
  while (i < old.length || j < fresh.length) {
    if (i < old.length && j < fresh.length && same(old[i], fresh[j])) {
      pieces.push({ kind: "same", text: fresh[j] ?? "" });
      i += 1;
      j += 1;
    } else if (i < old.length && (j === fresh.length || common(i + 1, j) >= common(i, j + 1))) {
      pieces.push({ kind: "removed", text: old[i] ?? "" });
      i += 1;
    } else {
      pieces.push({ kind: "added", text: fresh[j] ?? "" });
      j += 1;
    }
  }
  return pieces;
}

/** How many words the rests from `i` and from `j` have in common, in order. */
function lengths(old: readonly string[], fresh: readonly string[]): (i: number, j: number) => number {
  const width = fresh.length + 1;
  const table = new Uint32Array((old.length + 1) * width);
  const at = (i: number, j: number): number => table[i * width + j] ?? 0;
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = fresh.length - 1; j >= 0; j -= 1) {
      table[i * width + j] = same(old[i], fresh[j]) ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  return at;
}

function joined(pieces: readonly Piece[]): readonly Piece[] {
  const result: Piece[] = [];
  for (const piece of pieces) {
    const last = result.at(-1);
    if (piece.text === "") continue;
    if (last?.kind === piece.kind) result[result.length - 1] = { kind: piece.kind, text: last.text + piece.text };
    else result.push(piece);
  }
  return result;
}
