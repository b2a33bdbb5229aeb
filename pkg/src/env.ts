/** Where this code runs. */

/** A page, or a worker with a store of its own; not a server, an edge worker or a prerenderer. */
export function isBrowser(): boolean {
  if (typeof document !== "undefined") return true;
  const scope = globalThis as { readonly WorkerGlobalScope?: unknown; readonly indexedDB?: unknown };
  return typeof scope.WorkerGlobalScope === "function" && scope.indexedDB !== undefined;
}
