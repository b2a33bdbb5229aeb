/** Light, dark, or as the system says. The choice is kept in this browser. */
import { createStore } from "./store.ts";

export type Theme = "system" | "light" | "dark";
const key = "tidewire-demo.theme";

export const theme = createStore<Theme>(read());

export function applyTheme(next: Theme): void {
  theme.set(next);
  document.documentElement.dataset["theme"] = next;
  try {
    localStorage.setItem(key, next);
  } catch {
    // Storage may be forbidden; the choice then lasts as long as the page.
  }
}

function read(): Theme {
  try {
    const stored = localStorage.getItem(key);
    return stored === "light" || stored === "dark" ? stored : "system";
  } catch {
    return "system";
  }
}
