/** For a person alone: makes a conflict on purpose, and says how. */
import { useState } from "react";
import { makeConflict } from "../data/make-conflict.ts";
import { showError } from "../lib/toasts.ts";

export function MakeConflict() {
  const [busy, setBusy] = useState(false);

  async function make(): Promise<void> {
    if (busy) return;
    setBusy(true);
    try {
      await makeConflict();
    } catch (error) {
      showError("No conflict could be made.", error);
    } finally {
      setBusy(false);
    }
  }

  return (
    <>
      <button type="button" className="button" data-testid="make-conflict" aria-busy={busy} onClick={() => void make()}>
        {busy ? "Making a conflict" : "Make a conflict"}
      </button>
      <p className="hint">
        A second device, made inside this page, changes a proposal while this one is paused and changes it too. Or open
        the demo in two windows, as two people, and switch one offline.
      </p>
    </>
  );
}
