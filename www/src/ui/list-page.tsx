/** A page with a list on the left and, when an entity is chosen, its detail on the right. */
import type { ReactNode } from "react";
import { Icon } from "./icons.tsx";

interface Props {
  title: string;
  summary: string;
  actions?: ReactNode;
  toolbar: ReactNode;
  list: ReactNode;
  detail: ReactNode;
}

export function ListPage({ title, summary, actions, toolbar, list, detail }: Props) {
  // A page has one main heading: of what is open, else of the list. On a phone the other one is not there.
  const Heading = detail ? "h2" : "h1";
  return (
    <div className="list-page" data-detail={detail ? true : undefined}>
      <section className="list-side" aria-label={title}>
        <header className="page-head">
          <div>
            <Heading className="page-title">{title}</Heading>
            <p className="page-summary" data-testid="list-summary" aria-live="polite">
              {summary}
            </p>
          </div>
          <div className="page-actions">{actions}</div>
        </header>
        <div className="toolbar" role="search">
          {toolbar}
        </div>
        {list}
      </section>
      {detail}
    </div>
  );
}

interface SearchProps {
  value: string;
  onChange(text: string): void;
  label: string;
}

export function SearchBox({ value, onChange, label }: SearchProps) {
  return (
    <div className="search">
      <Icon name="search" />
      <input
        type="search"
        aria-label={label}
        placeholder={label}
        value={value}
        data-testid="search"
        onChange={(event) => onChange(event.target.value)}
      />
    </div>
  );
}

interface PickProps {
  label: string;
  value: string;
  options: readonly (readonly [value: string, label: string])[];
  onChange(value: string): void;
  testId: string;
}

export function Pick({ label, value, options, onChange, testId }: PickProps) {
  return (
    <select
      className="pick"
      aria-label={label}
      value={value}
      data-testid={testId}
      onChange={(event) => onChange(event.target.value)}
    >
      {options.map(([key, text]) => (
        <option key={key} value={key}>
          {text}
        </option>
      ))}
    </select>
  );
}
