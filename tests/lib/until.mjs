/** Waiting for a condition: the only way in which these tests wait. */

/**
 * Asks `probe` until its answer is truthy, and returns that. A probe that throws is asked again.
 *
 * The patience is for a machine that does other work beside; what claims a time of its own says `timeoutMs`.
 */
export async function until(what, probe, { timeoutMs = 60_000, everyMs = 25 } = {}) {
  const deadline = performance.now() + timeoutMs;
  let last;
  for (;;) {
    try {
      last = await probe();
      if (last) return last;
    } catch (error) {
      if (error.final) throw error;
      last = error;
    }
    if (performance.now() > deadline) break;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  const seen = last instanceof Error ? last.message : JSON.stringify(last);
  throw new Error(`waited ${timeoutMs} ms for: ${what}; last seen: ${seen}`);
}

/** A promise with its handles outside. */
export function deferred() {
  const handles = {};
  handles.promise = new Promise((resolve, reject) => Object.assign(handles, { resolve, reject }));
  return handles;
}
