/** A list that draws only what is on screen. Every row has the same height, so its place is a multiplication. */
import { useEffect, useLayoutEffect, useRef, useState, type KeyboardEvent, type ReactNode } from "react";

interface Props<T extends { id: string }> {
  rows: readonly T[];
  rowHeight: number;
  label: string;
  testId: string;
  selectedId: string | undefined;
  /** Changes when the list shows something else (a search, another order): it then starts at the top. */
  resetKey: string;
  children: (row: T) => ReactNode;
}

const spareRows = 6;

export function VirtualList<T extends { id: string }>(props: Props<T>) {
  const { rows, rowHeight, label, testId, selectedId, resetKey } = props;
  const box = useRef<HTMLDivElement>(null);
  const { top, height } = useViewport(box);
  const first = Math.max(0, Math.floor(top / rowHeight) - spareRows);
  const last = Math.min(rows.length, Math.ceil((top + height) / rowHeight) + spareRows);

  useLayoutEffect(() => {
    box.current?.scrollTo({ top: 0 });
  }, [resetKey]);

  return (
    <div className="list-scroll" ref={box} onKeyDown={moveFocus} tabIndex={-1}>
      <ul
        className="list"
        aria-label={label}
        data-testid={testId}
        data-total={rows.length}
        style={{ height: rows.length * rowHeight }}
      >
        {rows.slice(first, last).map((row, index) => (
          <li
            key={row.id}
            className="list-item"
            aria-setsize={rows.length}
            aria-posinset={first + index + 1}
            data-selected={row.id === selectedId || undefined}
            style={{ height: rowHeight, transform: `translateY(${(first + index) * rowHeight}px)` }}
          >
            {props.children(row)}
          </li>
        ))}
      </ul>
    </div>
  );
}

function useViewport(box: React.RefObject<HTMLDivElement | null>) {
  const [view, setView] = useState({ top: 0, height: 900 });
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const read = () => setView({ top: element.scrollTop, height: element.clientHeight });
    read();
    const observer = new ResizeObserver(read);
    observer.observe(element);
    element.addEventListener("scroll", read, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", read);
    };
  }, [box]);
  return view;
}

const steps: Record<string, 1 | -1> = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 };

/** Up and down, or J and K, walk from row to row; the browser scrolls the focused one into view. */
function moveFocus(event: KeyboardEvent<HTMLDivElement>): void {
  const step = steps[event.key];
  if (step === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
  const item = (event.target as HTMLElement).closest("li");
  const first = event.currentTarget.querySelector("li");
  const next = item ? (step > 0 ? item.nextElementSibling : item.previousElementSibling) : first;
  const link = next?.querySelector<HTMLElement>("a, button");
  if (!link) return;
  event.preventDefault();
  link.focus();
}
