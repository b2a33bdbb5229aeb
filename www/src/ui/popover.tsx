/** A button that opens a small box under itself. Escape and a click elsewhere close it; focus returns to the button. */
import { useEffect, useId, useRef, useState, type ReactNode } from "react";

interface Props {
  button: ReactNode;
  label: string;
  className: string;
  testId: string;
  children: ReactNode;
  data?: Record<`data-${string}`, string | number>;
}

export function Popover({ button, label, className, testId, children, data }: Props) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const trigger = useRef<HTMLButtonElement>(null);
  const id = useId();

  useEffect(() => {
    if (!open) return;
    const close = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    const leave = () => setOpen(false);
    addEventListener("pointerdown", close);
    addEventListener("focusin", close);
    addEventListener("hashchange", leave);
    return () => {
      removeEventListener("pointerdown", close);
      removeEventListener("focusin", close);
      removeEventListener("hashchange", leave);
    };
  }, [open]);

  return (
    <div
      className="popover-root"
      ref={root}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !open) return;
        event.stopPropagation();
        setOpen(false);
        trigger.current?.focus();
      }}
    >
      <button
        ref={trigger}
        type="button"
        className={className}
        aria-expanded={open}
        aria-controls={id}
        data-testid={testId}
        onClick={() => setOpen((now) => !now)}
        {...data}
      >
        {button}
      </button>
      <div className="popover" id={id} role="group" aria-label={label} hidden={!open}>
        {children}
      </div>
    </div>
  );
}
