/** The page's half: it leaves a token for the service worker, and takes it back when its user signs out. */
import { SESSION, type DbBase } from "../db.js";
import { TidewireError, toTidewireError } from "../errors.js";
import { storeOf } from "../host/connection.js";
import type { DbSettings } from "../options.js";
import type { Session } from "../session.js";
import type { Collections } from "../types.js";
import { putPass } from "./pass.js";

/** What {@link leaveToken} takes. */
export interface LeaveOptions {
  /** Gives the service worker's token: one of its own, with fewer rights, if you can. Left out: that of `openDb`. */
  readonly auth?: DbSettings["auth"];
}

/** Those whose sign-out is heard. */
const heard = new WeakSet<Session>();

/**
 * Lets a service worker send what is queued in the store that is open, with a copy of a token. Call it when the page
 * starts, after `signIn`, and when there is another token. Resolves with whether there is one now: where `auth` gives
 * null, what was left is taken back, and so it is when the user signs out in this page.
 */
export async function leaveToken<C extends Collections>(db: DbBase<C>, options: LeaveOptions = {}): Promise<boolean> {
  const session = (db as unknown as { readonly [SESSION]: Session })[SESSION];
  const { config, host } = session;
  checkConfig(config);
  await session.whenOpen();
  await session.switching;
  const { user } = session;
  const name = storeOf(config.name, user);
  const token = await (options.auth ?? host.token)("start", user);
  if (!heard.has(session)) {
    heard.add(session);
    session.events.on("left", () => void takeBack(storeOf(config.name, session.user)));
  }
  try {
    const pass = token ? { token, config: { ...config, name } } : undefined;
    const isThere = await putPass(name, session.user === user ? pass : undefined);
    return isThere && pass !== undefined && session.user === user;
  } catch (cause) {
    throw new TidewireError("storage", "The token could not be stored for the service worker.", {
      retryable: true,
      cause,
    });
  }
}

/** What a service worker may not do. */
function checkConfig(config: Session["config"]): void {
  if (config.url === null || config.delivery !== undefined)
    throw new TidewireError("bad-config", "A service worker sends to the server that `url` names, and there is none.");
  if (config["sensitive"] !== undefined)
    throw new TidewireError(
      "bad-config",
      "A service worker would store what the server says of `sensitive` fields: use `encrypt` with " +
        '`sensitive: "encrypted"`, or let the page sync alone.',
    );
}

async function takeBack(store: string): Promise<void> {
  try {
    await putPass(store, undefined);
  } catch (thrown) {
    console.error("tidewire: the service worker's token could not be taken back", toTidewireError(thrown));
  }
}
