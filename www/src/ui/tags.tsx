/** Tags: adding and removing are sent as such, so two people's tags join instead of replacing each other. */
import { useId, useState } from "react";
import { Icon } from "./icons.tsx";

interface Props {
  label?: string;
  tags: readonly string[];
  onAdd(tag: string): void;
  onRemove(tag: string): void;
}

export function Tags({ label = "Tags", tags, onAdd, onRemove }: Props) {
  const [text, setText] = useState("");
  const id = useId();

  function commit(): void {
    const tag = text.trim().toLowerCase();
    setText("");
    if (tag && !tags.includes(tag)) onAdd(tag);
  }

  return (
    <div className="field">
      <div className="field-head">
        <label htmlFor={id}>{label}</label>
      </div>
      <div className="tags" data-testid="tags">
        {tags.map((tag) => (
          <span key={tag} className="tag">
            {tag}
            <button type="button" aria-label={`Remove tag ${tag}`} onClick={() => onRemove(tag)}>
              <Icon name="close" />
            </button>
          </span>
        ))}
        <input
          id={id}
          value={text}
          placeholder="Add a tag"
          autoComplete="off"
          data-testid="new-tag"
          onChange={(event) => setText(event.target.value)}
          onBlur={commit}
          onKeyDown={(event) => {
            if (event.key === "Enter") commit();
          }}
        />
      </div>
    </div>
  );
}
