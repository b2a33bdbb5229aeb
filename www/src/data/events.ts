/** What Tidewire announces, as toasts. */
import { db } from "./db.ts";
import { fieldName } from "../lib/errors.ts";
import { goTo } from "../lib/route.ts";
import { showToast } from "../lib/toasts.ts";

const openQueue = { label: "Open queue", run: () => goTo("queue") };

/** Subscribes once, at start. */
export function announceEvents(): void {
  db.on("rejected", (event) => {
    const where = event.error.path ? ` (${fieldName(event.error.path)})` : "";
    showToast(`The server refused a change${where}. It is kept in the queue.`, {
      tone: "bad",
      action: openQueue,
      durationMs: 12_000,
    });
  });
  db.on("conflict", (event) => {
    const waits = event.open !== undefined && event.open.length > 0;
    showToast(
      waits
        ? "Somebody else changed the same field. You decide."
        : "A value of yours was overwritten. You can put it back.",
      { action: { label: "Show", run: () => goTo(waits ? "conflicts" : "settled") }, durationMs: 12_000 },
    );
  });
  db.on("reset", () => showToast("This device was away for long and reads everything again. Your changes stay."));
  db.on("quota", () =>
    showToast("This browser is running out of storage. Free some space.", { tone: "bad", durationMs: 0 }),
  );
  db.on("storage", ({ storage }) => {
    if (storage === "memory") {
      showToast("This browser gives no lasting storage: a reload forgets unsent changes.", {
        tone: "bad",
        durationMs: 0,
      });
    }
  });
  db.on("upgrade", () =>
    showToast("A newer version is needed.", {
      tone: "bad",
      durationMs: 0,
      action: { label: "Reload", run: () => location.reload() },
    }),
  );
  db.on("watchdog", () => showToast("The sync was stuck and has been restarted."));
  db.on("settings-differ", () =>
    showToast("The server uses other merge settings than this page; the server's are used."),
  );
}
