/** A trap of the wasm module, made by a test. */

/** Runs in the page: lets the next call into the module trap, in the middle, with the engine borrowed. */
export function armTrap() {
  // The module `(func (export "f") unreachable)`.
  const bytes = atob("AGFzbQEAAAABBAFgAAADAgEABwUBAWYAAAoFAQMAAAs=");
  const module = new WebAssembly.Module(Uint8Array.from(bytes, (character) => character.charCodeAt(0)));
  const f = /** @type {() => number} */ (new WebAssembly.Instance(module).exports.f);
  const { now } = performance;
  performance.now = () => {
    if (!/wasm-function/.test(new Error("who asks").stack ?? "")) return now.call(performance);
    performance.now = now;
    window.tw.trapped = true;
    return f();
  };
}
