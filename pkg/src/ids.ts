/** Ids: UUIDv7, so that ids made later sort later, also on a page without a secure context. */

let last = 0;
let sequence = 0;

/** A new id. Ids of one tab grow, also within a millisecond. */
export function newId(): string {
  const now = Date.now();
  if (now > last) {
    last = now;
    sequence = randomBytes(2).reduce((sum, byte) => sum * 256 + byte, 0) & 0x7ff;
  } else {
    sequence += 1;
    if (sequence > 0xfff) {
      last += 1;
      sequence = 0;
    }
  }
  const time = last.toString(16).padStart(12, "0");
  const random = randomBytes(8);
  random[0] = ((random[0] as number) & 0x3f) | 0x80;
  const tail = Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const order = sequence.toString(16).padStart(3, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7${order}-${tail.slice(0, 4)}-${tail.slice(4)}`;
}

function randomBytes(count: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(count));
}
