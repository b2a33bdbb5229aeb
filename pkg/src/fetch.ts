/** `collection.fetch(id)`: a row that may not be on this device. */
import type { AnyRow } from "./rows.js";
import type { Session } from "./session.js";
import { waitFor, withTimeout, type WaitOptions } from "./write.js";

/** The row as it is here, or else as the server has it; `undefined` if there is none, or none for this user. */
export async function fetchRow(
  session: Session,
  collection: string,
  id: string,
  options: WaitOptions,
): Promise<AnyRow | undefined> {
  await session.whenWhole(options.signal);
  // Before a `backend` all is kept, and nobody is asked for one row.
  if (session.config.delivery !== undefined) return session.rows.get(collection, id);
  const request = JSON.stringify({ do: "fetch", c: collection, id });
  const { hit } = JSON.parse(session.call((client) => client.command(request))) as { readonly hit: boolean };
  if (!hit && session.config.url !== null) {
    await waitFor<void>(session, withTimeout(session, options), (settle) =>
      session.events.on("fetched", (event) => {
        if (event.collection === collection && event.id === id) settle.resolve();
      }),
    );
  }
  return session.rows.get(collection, id);
}
