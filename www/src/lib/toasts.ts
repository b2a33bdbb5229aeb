/** Short messages at the edge of the screen. At most three at a time; the oldest leaves first. */
import { createStore } from "./store.ts";
import { explain } from "./errors.ts";

export interface Toast {
  id: number;
  text: string;
  tone: "plain" | "good" | "bad";
  action?: { label: string; run: () => void };
  /** 0: stays until it is dismissed. */
  durationMs: number;
}

const shownMax = 3;
let lastId = 0;

export const toasts = createStore<readonly Toast[]>([]);

/** Returns what `dismissToast` takes. */
export function showToast(text: string, options: Partial<Omit<Toast, "id" | "text">> = {}): number {
  const toast: Toast = { id: ++lastId, text, tone: "plain", durationMs: 8_000, ...options };
  toasts.set((now) => [...now.filter((other) => other.text !== text), toast].slice(-shownMax));
  return toast.id;
}

export function showError(what: string, error: unknown): void {
  showToast(`${what} ${explain(error).text}`, { tone: "bad", durationMs: 12_000 });
}

export function dismissToast(id: number): void {
  toasts.set((now) => now.filter((toast) => toast.id !== id));
}
