/**
 * The switch "Work offline": pauses the sync of this person on this device until it is switched back,
 * across reloads and in all tabs (they share one database, so they are one device).
 */
import { db } from "./db.ts";
import { user } from "./session.ts";
import { createStore } from "../lib/store.ts";
import { showError } from "../lib/toasts.ts";

const key = `tidewire-demo.offline.${user}`;

export const workOffline = createStore(read());

export function setWorkOffline(on: boolean): void {
  try {
    if (on) localStorage.setItem(key, "1");
    else localStorage.removeItem(key);
  } catch {
    // Without storage the switch lasts as long as the page.
  }
  apply(on);
}

/** Called once at start: a device that was switched offline stays so after a reload. */
export function followOfflineSwitch(): void {
  if (workOffline.get()) apply(true);
  addEventListener("storage", (event) => {
    if (event.key === key) apply(event.newValue !== null);
  });
}

function apply(on: boolean): void {
  workOffline.set(on);
  void switchSync(on);
}

async function switchSync(pause: boolean): Promise<void> {
  try {
    await (pause ? db.sync.pause() : db.sync.resume());
  } catch (error) {
    showError(pause ? "The sync could not be paused." : "The sync could not be resumed.", error);
  }
}

function read(): boolean {
  try {
    return localStorage.getItem(key) !== null;
  } catch {
    return false;
  }
}
