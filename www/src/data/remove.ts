/** Deleting with a way back: the row goes at once, and a toast offers to undo it. */
import type { Write } from "tidewire";
import { goTo, type PageName } from "../lib/route.ts";
import { showError, showToast } from "../lib/toasts.ts";

export function removeWithUndo(page: PageName, what: string, remove: () => Write): void {
  const write = remove();
  goTo(page);
  offerUndo(`${what} deleted.`, write);
}

export function offerUndo(text: string, write: Write<unknown>, after?: () => void): void {
  showToast(text, {
    action: {
      label: "Undo",
      run: () => {
        after?.();
        write.undo().then(undefined, (error: unknown) => showError("This could not be undone.", error));
      },
    },
  });
  write.then(undefined, (error: unknown) => showError("This change could not be stored.", error));
}
