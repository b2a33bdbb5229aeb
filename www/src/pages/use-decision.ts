/** The state of a decision in the making: a choice for each field, the record that follows, and keeping it. */
import { useMemo, useState } from "react";
import type { Conflict } from "tidewire";
import { mergedRecord, problemIn, verdictOf, type Choice, type Choices } from "../data/conflict-choices.ts";
import { conflictTitle } from "../data/conflicts.ts";
import { decide } from "../data/decisions.ts";
import { explain } from "../lib/errors.ts";
import type { JsonObject } from "../lib/pointer.ts";
import { goTo } from "../lib/route.ts";
import { showError } from "../lib/toasts.ts";

export interface Decision {
  readonly choices: Choices;
  readonly record: JsonObject;
  /** Why a field cannot be kept as it is. */
  readonly error: { readonly path: string; readonly text: string } | undefined;
  choose(path: string, choice: Choice): void;
  /** `merge`: as the choices say. */
  keep(how: "mine" | "theirs" | "merge"): void;
}

const verbs = { mine: "Kept mine", theirs: "Kept theirs" } as const;

/** `whileDeciding` takes the promise that is fulfilled when the decision is stored. */
export function useDecision(conflict: Conflict, whileDeciding: (stored: Promise<void>) => Promise<void>): Decision {
  const [choices, setChoices] = useState<Choices>({});
  const [error, setError] = useState<Decision["error"]>(undefined);
  const record = useMemo(() => mergedRecord(conflict, choices), [conflict, choices]);

  async function keep(how: "mine" | "theirs" | "merge"): Promise<void> {
    const problem = how === "merge" ? problemIn(conflict, choices) : undefined;
    if (problem) return setError(problem);
    const verdict = how === "merge" ? verdictOf(conflict, choices) : how;
    const text = `${typeof verdict === "string" ? verbs[verdict] : "Kept a merge"}: ${conflictTitle(conflict)}`;
    const undone = () => goTo("conflicts", conflict.key);
    try {
      await whileDeciding(decide(text, [conflict], (one) => one.keep(verdict), { undone }));
    } catch (reason) {
      const { path, text: why } = explain(reason);
      const field = path && conflict.fields.find((one) => one.path.startsWith(`/${path}`));
      if (field) setError({ path: field.path, text: why });
      else showError("This could not be kept.", reason);
    }
  }

  return {
    choices,
    record,
    error,
    choose(path, choice) {
      setError(undefined);
      setChoices((now) => ({ ...now, [path]: choice }));
    },
    keep: (how) => void keep(how),
  };
}
