/** `collection.fetch(id)`: a row that may not be on this device. */
import { TidewireError, toTidewireError } from "./errors.js";
import type { AnyRow } from "./rows.js";
import type { Session } from "./session.js";
import { waitFor, waitWithin, withTimeout, type WaitOptions } from "./write.js";

/** The row as it is here, or else as the server has it; `undefined` if there is none, or none for this user. */
export function fetchRow(
  session: Session,
  collection: string,
  id: string,
  options: WaitOptions,
): Promise<AnyRow | undefined> {
  // The time counts from here on, whatever is waited for.
  return waitWithin(withTimeout(session, options), (settle) => {
    const over = new AbortController();
    ask(session, collection, id, over.signal).then(settle.resolve, settle.reject);
    const left = new TidewireError("closed", "The user changed before the answer came.");
    const stop = session.events.on("left", () => settle.reject(left));
    return () => (stop(), over.abort());
  });
}

async function ask(
  session: Session,
  collection: string,
  id: string,
  signal: AbortSignal,
): Promise<AnyRow | undefined> {
  await session.whenWhole(signal);
  // Before a `backend` all is kept, and nobody is asked for one row.
  if (session.config.delivery !== undefined || signal.aborted) return session.rows.get(collection, id);
  const request = JSON.stringify({ do: "fetch", c: collection, id });
  const answer = JSON.parse(session.call((client) => client.command(request))) as { hit: boolean; id: string };
  if (!answer.hit && session.config.url !== null) {
    await waitFor<void>(session, { signal }, (settle) => {
      const is = (event: { collection: string; id: string }): boolean =>
        event.collection === collection && event.id === answer.id;
      const came = session.events.on("fetched", (event) => {
        if (is(event)) settle.resolve();
      });
      const refused = session.events.on("fetch-refused", (event) => {
        if (is(event)) settle.reject(toTidewireError({ ...event.error, collection, id }));
      });
      return () => (came(), refused());
    });
  }
  return session.rows.get(collection, id);
}
