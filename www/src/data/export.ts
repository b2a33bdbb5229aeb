/** Hands everything on this device to the user as a file. */
import { showError, showToast } from "../lib/toasts.ts";
import { db } from "./db.ts";
import { user } from "./session.ts";

export async function exportToFile(): Promise<void> {
  try {
    const data: unknown = await db.export();
    const text = typeof data === "string" ? data : JSON.stringify(data, null, 2);
    download(`tidewire-${user}-${new Date().toISOString().slice(0, 10)}.json`, text);
    showToast("Exported.", { tone: "good" });
  } catch (error) {
    showError("The export failed.", error);
  }
}

function download(name: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  // The browser reads the blob after the click; give it time before it is let go.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
