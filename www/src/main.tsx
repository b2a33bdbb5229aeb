import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { announceEvents } from "./data/events.ts";
import { followOfflineSwitch } from "./data/offline.ts";
import { seedIfAsked } from "./import/sample.ts";
import { registerAppShell } from "./lib/app-shell.ts";
import { applyTheme, theme } from "./lib/theme.ts";
import { showError } from "./lib/toasts.ts";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/controls.css";
import "./styles/lists.css";
import "./styles/pages.css";
import "./styles/conflicts.css";

applyTheme(theme.get());
followOfflineSwitch();
announceEvents();
registerAppShell();

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);

function seed(): void {
  seedIfAsked().catch((error: unknown) => showError("The sample data could not be imported.", error));
}
addEventListener("hashchange", seed);
seed();
