/** The frames of a WebSocket: just enough of RFC 6455 to read, drop, double and reorder whole messages. */

const TEXT = 1;

/** Cuts a byte stream into frames. The HTTP head before a server's first frame is given as a frame without `text`. */
export class FrameSplitter {
  #bytes = Buffer.alloc(0);
  #inHead;

  constructor({ head = true } = {}) {
    this.#inHead = head;
  }

  /** The frames that are whole with these bytes. */
  push(bytes) {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    const frames = [];
    for (let frame = this.#take(); frame; frame = this.#take()) frames.push(frame);
    return frames;
  }

  #take() {
    return this.#inHead ? this.#takeHead() : this.#takeFrame();
  }

  #takeHead() {
    const end = this.#bytes.indexOf("\r\n\r\n");
    if (end < 0) return undefined;
    this.#inHead = false;
    return { bytes: this.#cut(end + 4) };
  }

  #takeFrame() {
    const bytes = this.#bytes;
    if (bytes.length < 2) return undefined;
    const short = bytes[1] & 0x7f;
    const masked = (bytes[1] & 0x80) !== 0;
    const head = (short === 126 ? 4 : short === 127 ? 10 : 2) + (masked ? 4 : 0);
    if (bytes.length < head) return undefined;
    const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
    if (bytes.length < head + length) return undefined;
    const whole = (bytes[0] & 0x80) !== 0 && (bytes[0] & 0x0f) === TEXT;
    const frame = this.#cut(head + length);
    if (!whole) return { bytes: frame };
    const said = Buffer.from(frame.subarray(head));
    if (masked) said.forEach((byte, at) => (said[at] = byte ^ frame[head - 4 + (at % 4)]));
    return { bytes: frame, text: said.toString("utf8") };
  }

  #cut(length) {
    const part = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return part;
  }
}
