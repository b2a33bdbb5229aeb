/** Ids: UUIDv7, so that ids made later sort later, also on a page without a secure context. */
import { time } from "./env.js";

/** The millisecond of the newest id, and its number within it. */
export const newest = { ms: 0, sequence: 0 };

/** A new id. Ids of one tab grow, also within a millisecond. */
export function newId(): string {
  const now = time.wall();
  if (now > newest.ms) {
    newest.ms = now;
    newest.sequence = time.random(2).reduce((sum, byte) => sum * 256 + byte, 0) & 0x7ff;
  } else {
    newest.sequence += 1;
    if (newest.sequence > 0xfff) {
      newest.ms += 1;
      newest.sequence = 0;
    }
  }
  const stamp = newest.ms.toString(16).padStart(12, "0");
  const random = time.random(8);
  random[0] = ((random[0] as number) & 0x3f) | 0x80;
  const tail = Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const order = newest.sequence.toString(16).padStart(3, "0");
  return `${stamp.slice(0, 8)}-${stamp.slice(8)}-7${order}-${tail.slice(0, 4)}-${tail.slice(4)}`;
}
