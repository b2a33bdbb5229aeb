/** Keys that are commands on a page, and letters where something is typed. */
import type { KeyboardEvent } from "react";

/** Whether the key belongs to what has the focus: a text, a list of choices. */
export function isTyping({ target }: KeyboardEvent): boolean {
  if (!(target instanceof HTMLElement)) return false;
  const plain = target instanceof HTMLInputElement && (target.type === "radio" || target.type === "checkbox");
  return !plain && target.matches("input, textarea, select, [contenteditable]");
}

/** The name of a key that stands alone, in small letters; undefined with Ctrl, Alt or Meta. */
export function plainKey(event: KeyboardEvent): string | undefined {
  return event.ctrlKey || event.altKey || event.metaKey ? undefined : event.key.toLowerCase();
}

/** Z alone, or with Ctrl or Command as everywhere. */
export function isUndo(event: KeyboardEvent): boolean {
  return event.key.toLowerCase() === "z" && !event.shiftKey && !event.altKey;
}
