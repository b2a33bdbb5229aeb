/** One value of a field, with what differs from another value marked: words in a text, items in a list, a sum. */
import type { ReactNode } from "react";
import type { Json } from "tidewire";
import { wordsOf } from "../data/conflicts.ts";
import type { FieldKind } from "../data/field-kinds.ts";
import { formatMoney, formatNumber } from "../lib/format.ts";
import { diffWords, type Piece } from "../lib/word-diff.ts";

interface Props {
  kind: FieldKind;
  value: Json | undefined;
  /** What to compare it with; the marks say how `value` came from it. */
  against?: Json | undefined;
  /** What a field that is not there is called. */
  absent?: string;
}

export function ValueView({ kind, value, against, absent = "Removed" }: Props) {
  if (value === undefined) return <em className="no-value">{absent}</em>;
  if (value === "" || value === null) return <em className="no-value">Empty</em>;
  if (kind.kind === "tags" && isTexts(value)) return <Items items={value} against={against} />;
  if (kind.kind === "text" && typeof value === "string") {
    const marked = kind.id ? undefined : against;
    return (
      <span className="value-text">
        {typeof marked === "string" ? <Marked before={marked} after={value} /> : wordsOf(kind, value)}
      </span>
    );
  }
  if (kind.kind === "json") return <pre className="json">{JSON.stringify(value, null, 2)}</pre>;
  return (
    <span>
      {wordsOf(kind, value)}
      <Step kind={kind} value={value} against={against} />
    </span>
  );
}

function Marked({ before, after }: { before: string; after: string }) {
  return diffWords(before, after).map((piece, index) => <Word key={index} piece={piece} />);
}

function Word({ piece: { kind, text } }: { piece: Piece }): ReactNode {
  if (kind === "same") return text;
  // The space behind a word stays outside of its mark.
  const word = text.trimEnd();
  const space = text.slice(word.length);
  return (
    <>
      {kind === "added" ? <ins>{word}</ins> : <del>{word}</del>}
      {space || (kind === "removed" ? " " : "")}
    </>
  );
}

function Items({ items, against }: { items: readonly string[]; against: Json | undefined }) {
  const before = isTexts(against) ? against : items;
  const gone = before.filter((item) => !items.includes(item));
  if (items.length + gone.length === 0) return <em className="no-value">None</em>;
  return (
    <span className="value-items">
      {items.map((item) => (
        <span key={item} className="item">
          {before.includes(item) ? item : <ins>{item}</ins>}
        </span>
      ))}
      {gone.map((item) => (
        <span key={item} className="item">
          <del>{item}</del>
        </span>
      ))}
    </span>
  );
}

function Step({ kind, value, against }: { kind: FieldKind; value: Json; against: Json | undefined }) {
  if (kind.kind !== "number" || typeof value !== "number" || typeof against !== "number") return null;
  const step = value - against;
  if (step === 0) return null;
  const words = kind.money ? formatMoney(Math.abs(step)) : formatNumber(Math.abs(step));
  return (
    <small className="value-step">
      {step > 0 ? "+" : "−"}
      {words}
    </small>
  );
}

function isTexts(value: Json | undefined): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
