/** The whole record as the choices make it; what comes from a choice is marked with whose it is. */
import { sourceOf, type Choice, type Choices } from "../data/conflict-choices.ts";
import type { Conflict } from "../data/conflicts.ts";
import { fieldKind, fieldLabel, fieldOrder } from "../data/field-kinds.ts";
import type { JsonObject } from "../lib/pointer.ts";
import { Chip } from "./marks.tsx";
import { ValueView } from "./value-view.tsx";

interface Props {
  conflict: Conflict;
  choices: Choices;
  record: JsonObject;
}

const words: Record<Choice["from"] | "both", { label: string; tone: string }> = {
  mine: { label: "Mine", tone: "green" },
  theirs: { label: "Theirs", tone: "blue" },
  edit: { label: "Edited", tone: "gray" },
  both: { label: "Mixed", tone: "gray" },
};

export function MergePreview({ conflict, choices, record }: Props) {
  const gone = conflict.fields.map(({ path }) => path.split("/")[1] ?? "").filter((key) => !(key in record));
  return (
    <section className="preview" aria-label="The record as it will be" data-testid="merge-preview">
      <h2>As it will be</h2>
      <dl>
        {[...fieldOrder(conflict.collection, record), ...new Set(gone)].map((key) => {
          const path = `/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
          const source = sourceOf(conflict, choices, key);
          return (
            <div key={key} data-key={key} data-source={source}>
              <dt>{fieldLabel(path)}</dt>
              <dd>
                <ValueView kind={fieldKind(conflict.collection, path, [record[key]])} value={record[key]} />
              </dd>
              {source && <Chip tone={words[source].tone}>{words[source].label}</Chip>}
            </div>
          );
        })}
      </dl>
    </section>
  );
}
