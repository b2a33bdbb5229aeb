/** What a page shows when it has no rows: still loading, really empty, nothing found, or failed. */
import type { ReactNode } from "react";
import { Icon, type IconName } from "./icons.tsx";

interface EmptyProps {
  icon?: IconName;
  title: string;
  children?: ReactNode;
  testId?: string;
}

export function Empty({ icon = "empty", title, children, testId = "empty-state" }: EmptyProps) {
  return (
    <div className="empty" data-testid={testId}>
      <span className="empty-icon">
        <Icon name={icon} />
      </span>
      <h2>{title}</h2>
      {children}
    </div>
  );
}

export function Loading({ what }: { what: string }) {
  return (
    <div className="loading" role="status" data-testid="loading-state">
      <span className="visually-hidden">Loading {what}</span>
      {[0, 1, 2, 3, 4, 5].map((line) => (
        <span key={line} className="skeleton" aria-hidden="true" />
      ))}
    </div>
  );
}

export function Failure({ title, text }: { title: string; text: string }) {
  return (
    <div className="empty" role="alert" data-testid="error-state">
      <span className="empty-icon" data-tone="bad">
        <Icon name="warning" />
      </span>
      <h2>{title}</h2>
      <p>{text}</p>
      <button type="button" className="button" onClick={() => location.reload()}>
        Reload the page
      </button>
    </div>
  );
}
