/** The mark of a row in conflict: leads to the decision. It stands beside the row's own link. */
import { conflictHref, useConflictOf } from "../data/conflicts.ts";
import { hrefTo } from "../lib/route.ts";
import { Icon } from "./icons.tsx";

export function ConflictLink({ collection, id }: { collection: string; id: string }) {
  const conflict = useConflictOf(collection, id);
  return (
    <a
      className="conflict-link"
      href={conflict ? conflictHref(conflict) : hrefTo("conflicts")}
      aria-label="In conflict: decide which value stays"
      title="In conflict: decide which value stays"
      data-testid="conflict-link"
    >
      <Icon name="fork" />
    </a>
  );
}
