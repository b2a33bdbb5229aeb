/** Where this code runs, and what time it is there. */

/** The clocks, timers and random bytes of the page. The test kit puts its own in their place. */
export const time = {
  wall: (): number => Date.now(),
  mono: (): number => performance.now(),
  after: (run: () => void, ms?: number): ReturnType<typeof setTimeout> => setTimeout(run, ms),
  cancel: (timer?: ReturnType<typeof setTimeout>): void => clearTimeout(timer),
  random: (count: number): Uint8Array<ArrayBuffer> => crypto.getRandomValues(new Uint8Array(count)),
};


/** A page, or a worker with a store of its own; not a server, an edge worker or a prerenderer. */
export function isBrowser(): boolean {
  if (typeof document !== "undefined") return true;
  const scope = globalThis as { readonly WorkerGlobalScope?: unknown; readonly indexedDB?: unknown };
  return typeof scope.WorkerGlobalScope === "function" && scope.indexedDB !== undefined;
}
