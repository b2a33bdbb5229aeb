/**
 * Users: each has a store of their own, named after the database and the user. What is queued there is pushed only
 * while that user is signed in, and waits as long as somebody else is.
 */
import type { Adopt } from "./adopt.js";
import { TidewireError, toTidewireError } from "./errors.js";
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

/** How to sign in. */
export interface SignInOptions {
  /**
   * What becomes of the edits that were made before anybody signed in. `merge` (default): they become the user's.
   * `discard`: they are given up. `ask`: they wait, the answer says how many, and the next `signIn` with one of the
   * other two decides. Edits that were sent with a token of their own are that user's, and are not counted.
   */
  readonly adopt?: Adopt;
}

/** Goes on with the store of `user`, and with what was written before signing in. */
export async function signIn(
  session: Session,
  user: string,
  { adopt: choice = "merge" }: SignInOptions,
): Promise<{ readonly pending: number }> {
  if (typeof user !== "string" || user === "") {
    throw new TidewireError("bad-value", "signIn() takes the id of a user.");
  }
  if (choice !== "merge" && choice !== "discard" && choice !== "ask") {
    throw new TidewireError("bad-value", '`adopt` is "merge", "discard" or "ask".');
  }
  const close = (client: WireClient): Promise<void> => client.close();
  return { pending: await session.switchTo(user, close, () => adopt(session, user, choice)) };
}

/** Its code is loaded here. Where that fails the user is signed in all the same, and the next `signIn` tries again. */
async function adopt(session: Session, user: string, choice: Adopt): Promise<number> {
  try {
    const adoption = await import("./adopt.js");
    return await adoption.adopt(session, user, choice);
  } catch (thrown) {
    session.events.emit("watchdog", toTidewireError(thrown));
    return 0;
  }
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
  // Who signs out while they sign in are out at the end.
  await session.switching;
  if (session.user === null) return;
  if (pending === "discard") await session.whenWhole();
  if (pending === "send") await done(wait);
  const leave = async (client: WireClient): Promise<void> => {
    if (pending === "discard") discardAll(client);
    await (wipe ? client.erase() : client.close());
  };
  await session.switchTo(null, leave, () => undefined);
}

function discardAll(client: WireClient): void {
  const queue = JSON.parse(client.view("queue")) as QueueView;
  for (const { n } of [...queue.pending, ...queue.failed]) client.command(JSON.stringify({ do: "discard", n }));
}
