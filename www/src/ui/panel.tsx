/** The detail beside a list; on a phone it covers the list. Escape or the back button closes it. */
import { useEffect, useRef, type ReactNode } from "react";
import { goTo, type PageName } from "../lib/route.ts";
import { Icon } from "./icons.tsx";
import { SyncMark, type RowSync } from "./marks.tsx";

interface Props {
  page: PageName;
  title: string;
  sync?: RowSync | undefined;
  note?: ReactNode;
  children: ReactNode;
  footer?: ReactNode;
}

export function Panel({ page, title, sync, note, children, footer }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    // Keyboard and screen reader users land in what they opened. A form's own autofocus wins.
    if (!heading.current?.closest(".panel")?.contains(document.activeElement)) heading.current?.focus();
  }, []);

  return (
    <section
      className="panel"
      aria-label={title}
      data-testid="detail"
      tabIndex={-1}
      onKeyDown={(event) => {
        if (event.key === "Escape") goTo(page);
      }}
    >
      <header className="panel-head">
        <button
          type="button"
          className="icon-button"
          aria-label="Back to the list"
          data-testid="close-detail"
          onClick={() => goTo(page)}
        >
          <Icon name="back" />
        </button>
        <div className="panel-title">
          <h1 ref={heading} tabIndex={-1}>
            {title}
          </h1>
          {sync && <SyncMark status={sync} verbose />}
        </div>
      </header>
      <div className="panel-body">
        {note}
        {children}
      </div>
      {footer && <footer className="panel-foot">{footer}</footer>}
    </section>
  );
}
