/** Who is signed in, and the look of the page. */
import { people, switchUser, user } from "../data/session.ts";
import { capital } from "../lib/format.ts";
import { applyTheme, theme, type Theme } from "../lib/theme.ts";
import { useStore } from "../lib/store.ts";
import { Popover } from "./popover.tsx";

const themes: readonly Theme[] = ["system", "light", "dark"];

export function UserMenu() {
  const chosen = useStore(theme);
  const names = people.includes(user as (typeof people)[number]) ? people : [user, ...people];
  const button = (
    <>
      <span className="avatar small" aria-hidden="true">
        {user.charAt(0).toUpperCase()}
      </span>
      <span className="wide-only">{capital(user)}</span>
      <span className="visually-hidden">User and theme</span>
    </>
  );
  return (
    <Popover className="user-button" button={button} label="User and theme" testId="user-menu">
      <fieldset className="choices">
        <legend>Signed in as</legend>
        {names.map((name) => (
          <button
            key={name}
            type="button"
            aria-pressed={name === user}
            data-testid={`user-${name}`}
            onClick={() => name !== user && switchUser(name)}
          >
            {capital(name)}
          </button>
        ))}
      </fieldset>
      <p className="hint">Each user has a database of their own on this device.</p>
      <fieldset className="choices">
        <legend>Theme</legend>
        {themes.map((name) => (
          <button
            key={name}
            type="button"
            aria-pressed={name === chosen}
            data-testid={`theme-${name}`}
            onClick={() => applyTheme(name)}
          >
            {capital(name)}
          </button>
        ))}
      </fieldset>
    </Popover>
  );
}
