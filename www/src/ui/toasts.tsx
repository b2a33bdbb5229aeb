/** Shows the toasts. A toast waits while the pointer or the keyboard is on it. */
import { useEffect, useState } from "react";
import { dismissToast, toasts, type Toast } from "../lib/toasts.ts";
import { useStore } from "../lib/store.ts";
import { Icon } from "./icons.tsx";

export function Toasts() {
  const shown = useStore(toasts);
  return (
    <div className="toasts" role="region" aria-label="Messages" aria-live="polite" data-testid="toasts">
      {shown.map((toast) => (
        <ToastCard key={toast.id} toast={toast} />
      ))}
    </div>
  );
}

function ToastCard({ toast }: { toast: Toast }) {
  const [held, setHeld] = useState(false);
  useEffect(() => {
    if (held || toast.durationMs === 0) return;
    const timer = setTimeout(() => dismissToast(toast.id), toast.durationMs);
    return () => clearTimeout(timer);
  }, [toast, held]);

  return (
    <div
      className="toast"
      data-tone={toast.tone}
      data-testid="toast"
      onPointerEnter={() => setHeld(true)}
      onPointerLeave={() => setHeld(false)}
      onFocus={() => setHeld(true)}
      onBlur={() => setHeld(false)}
    >
      <p>{toast.text}</p>
      {toast.action && (
        <button
          type="button"
          className="toast-action"
          data-testid="toast-action"
          onClick={() => {
            toast.action?.run();
            dismissToast(toast.id);
          }}
        >
          {toast.action.label}
        </button>
      )}
      <button type="button" className="icon-button" aria-label="Dismiss" onClick={() => dismissToast(toast.id)}>
        <Icon name="close" />
      </button>
    </div>
  );
}
