// One timed line for each long step: rewritten in place on a terminal, printed at its end elsewhere.
const terminal = process.stdout.isTTY === true;
const QUIET_MS = 30_000;

/** `12.3 s` or `2 min 05 s`. */
export function seconds(ms) {
  if (ms < 100_000) return `${(ms / 1_000).toFixed(1)} s`;
  const whole = Math.round(ms / 1_000);
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
}

/** Shows a step while it runs. Give what its command prints to `text`: cargo's counter is taken from it. */
export function progress(label) {
  const began = Date.now();
  let detail = "";
  let quietSince = began;
  const line = () => `  …  ${label} ${seconds(Date.now() - began)}${detail === "" ? "" : `  ${detail}`}`;
  const draw = () => {
    if (terminal) {
      process.stdout.write(`\r\x1b[2K${line().slice(0, (process.stdout.columns ?? 80) - 1)}`);
    } else if (Date.now() - quietSince >= QUIET_MS) {
      quietSince = Date.now();
      console.log(line());
    }
  };
  const timer = setInterval(draw, terminal ? 200 : 1_000);
  return {
    text(text) {
      detail = cargoCounter(text) ?? detail;
    },
    end(mark, note = "") {
      clearInterval(timer);
      if (terminal) process.stdout.write("\r\x1b[2K");
      console.log(` ${mark.padEnd(4)} ${label} ${seconds(Date.now() - began)}${note === "" ? "" : `  ${note}`}`);
      return Date.now() - began;
    },
  };
}

/** Cargo draws `Building [==> ] 23/120: …` when `cargoBar` is in its environment. */
export function cargoCounter(text) {
  const found = [...text.matchAll(/\] (\d+)\/(\d+)/g)].at(-1);
  return found === undefined ? undefined : `${found[1]}/${found[2]} crates`;
}

export const cargoBar = { CARGO_TERM_PROGRESS_WHEN: "always", CARGO_TERM_PROGRESS_WIDTH: "80" };
