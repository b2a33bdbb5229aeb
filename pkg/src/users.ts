/**
 * Users: each has a store of their own, named after the database and the user. What is queued there is pushed only
 * while that user is signed in, and waits as long as somebody else is.
 */
import { TidewireError } from "./errors.js";
import type { Session } from "./session.js";
import type { QueueView } from "./status.js";
import type { WireClient } from "./wasm/wire.js";
import type { WaitOptions } from "./write.js";

/** How to sign out. */
export interface SignOutOptions extends WaitOptions {
  /**
   * What becomes of the edits that the server has not decided. `keep` (default): they stay in the user's store and are
   * sent when the user signs in again. `send`: they are sent first; without a connection this rejects `offline`, and
   * the user stays signed in. `discard`: those that have not left the device are given up.
   */
  readonly pending?: "send" | "keep" | "discard";
  /** Deletes the user's store from this device; not together with `pending: "keep"`. */
  readonly wipe?: boolean;
}

/** Goes on with the store of `user`. */
export function signIn(session: Session, user: string): Promise<void> {
  if (typeof user !== "string" || user === "") {
    return Promise.reject(new TidewireError("bad-value", "signIn() takes the user's id, a text that is not empty."));
  }
  return session.switchTo(user, (client) => client.close());
}

/** Goes on with the store of whoever has not signed in. `done` waits until the server has decided everything. */
export async function signOut(
  session: Session,
  { pending = "keep", wipe = false, ...wait }: SignOutOptions,
  done: (options: WaitOptions) => Promise<unknown>,
): Promise<void> {
  if (wipe && pending === "keep") {
    throw new TidewireError("bad-value", 'A store that is wiped keeps nothing: choose pending "send" or "discard".');
  }
  if (session.user === null) return;
  if (pending === "send") await done(wait);
  await session.switchTo(null, async (client) => {
    if (pending === "discard") discardAll(client);
    await (wipe ? client.erase() : client.close());
  });
}

function discardAll(client: WireClient): void {
  const queue = JSON.parse(client.view("queue")) as QueueView;
  for (const { n } of [...queue.pending, ...queue.failed]) client.command(JSON.stringify({ do: "discard", n }));
}
