/** What a tab hears of the browser around it: other tabs, the network, whether anybody looks at the page. */

import { serverAt, type Net } from "./net.js";

/** The browser, or what stands for it in a test. */
export interface Surroundings {
  /** The server at an address; `told` hears when something else is known of what travelled. */
  net(url: string, told: () => void): Net;
  /** Where the leader's lock is; none in an insecure context or an old browser. */
  locks(): LockManager | undefined;
  /** Where tabs meet; none: in the log alone. */
  channel(name: string): BroadcastChannel | undefined;
  /** Tells what is believed of the network and the page, now and whenever that changes. */
  listen(signal: AbortSignal, online: (is: boolean) => void, visible: (is: boolean) => void): void;
}

/**
 * The browser. What belongs to the page is named without `globalThis`, which in a page that was left is the next page
 * of the window: WebKit rejects the lock of the former, and who asks again would hold that of the latter for ever.
 */
export const browser: Surroundings = {
  net: serverAt,
  locks: () => (typeof navigator === "object" ? navigator.locks : undefined),
  channel: (name) => (typeof BroadcastChannel === "function" ? new BroadcastChannel(name) : undefined),
  listen(signal, tellOnline, tellVisible) {
    const on = (target: EventTarget | undefined, names: string[], say: () => void): void => {
      for (const name of names) target?.addEventListener(name, say, { signal });
    };
    const page = typeof document === "object" ? document : undefined;
    const view = page?.defaultView ?? undefined;
    const online = (): void => tellOnline(typeof navigator !== "object" || navigator.onLine);
    const visible = (): void => tellVisible(page?.visibilityState !== "hidden");
    on(view, ["online", "offline"], online);
    // A page that was frozen or in the back-forward cache says "visible" again when it returns.
    on(page, ["visibilitychange", "resume"], visible);
    on(view, ["pageshow"], visible);
    online();
    // The engine takes a page for visible. To be told that it is makes it look for news.
    if (page?.visibilityState === "hidden") visible();
  },
};
