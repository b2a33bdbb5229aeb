/**
 * One field of an entity, written by itself: a short rest after the last key, or leaving the field, stores it on this
 * device. What somebody else writes meanwhile shows up at once, unless this field has unsaved text in it.
 */
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import { explain } from "../lib/errors.ts";

const restMs = 350;

export interface FieldState {
  text: string;
  error: string | undefined;
  saved: boolean;
  setText(text: string): void;
  flush(): void;
  revert(): void;
}

interface Draft {
  text: string;
  /** Stored; shown only until the row itself says the same. */
  stored: boolean;
}

export function useField(value: string, save: (text: string) => PromiseLike<unknown>): FieldState {
  const [draft, setDraft] = useState<Draft | undefined>(undefined);
  const [error, setError] = useState<string | undefined>(undefined);
  const [saved, setSaved] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const latest = useRef<Draft | undefined>(undefined);
  const now = useRef({ value, save });
  useLayoutEffect(() => {
    now.current = { value, save };
  });

  const keep = useCallback((next: Draft | undefined) => {
    latest.current = next;
    setDraft(next);
  }, []);

  const flush = useCallback(() => {
    clearTimeout(timer.current);
    const written = latest.current;
    if (!written || written.stored) return;
    if (written.text === now.current.value) {
      setError(undefined);
      return keep(undefined);
    }
    Promise.resolve(now.current.save(written.text)).then(
      () => {
        setError(undefined);
        setSaved(true);
        // Newer text may have been typed while this was being stored.
        if (latest.current === written) keep({ text: written.text, stored: true });
      },
      (reason: unknown) => setError(explain(reason).text),
    );
  }, [keep]);

  useEffect(() => {
    if (latest.current?.stored) keep(undefined);
  }, [value, keep]);

  useEffect(() => {
    addEventListener("pagehide", flush);
    return () => {
      removeEventListener("pagehide", flush);
      flush();
    };
  }, [flush]);

  function setText(text: string): void {
    keep({ text, stored: false });
    setSaved(false);
    clearTimeout(timer.current);
    timer.current = setTimeout(flush, restMs);
  }

  function revert(): void {
    clearTimeout(timer.current);
    setError(undefined);
    keep(undefined);
  }

  return { text: draft?.text ?? value, error, saved, setText, flush, revert };
}
