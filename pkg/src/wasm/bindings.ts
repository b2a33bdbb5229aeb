/**
 * The way into the wasm module and out of it: what `wasm-bindgen` would generate, without what this module does not
 * need. `cargo xtask build` gives imports and exports the names that they have in `src/client.rs` and `src/host.rs`.
 *
 * Only numbers, texts and bytes cross, the latter two as address and length; an address of 0 is none. What goes in
 * belongs to the module from then on; what comes out of an import is copied before it returns.
 */
import { time } from "../env.js";
import { LACKING, TidewireError } from "../errors.js";
import type { ModuleClient, ModuleHost } from "../host/module.js";

type Call<Result = void> = (...values: number[]) => Result;
/** Address and length. */
type Span = [at: number, length: number];

/** Exports of the module. Its addresses come as signed numbers. */
interface Wasm {
  readonly memory: WebAssembly.Memory;
  readonly malloc: Call<number>;
  readonly free: Call;
  readonly client_make: Call<number>;
  readonly client_free: Call;
  readonly client_call: Call<Span>;
  readonly client_open: Call;
  readonly client_close: Call;
  readonly client_turn: Call;
  readonly client_part: Call;
  readonly client_stored: Call;
  readonly client_response: Call;
  readonly client_tell: Call;
}

/** Texts up to this length are copied by character: the encoder is slower to call. */
const SHORT_TEXT_MAX = 64;
/** Safari's decoder fails shortly before it has decoded 2 GiB. */
const DECODED_MAX = 2 ** 31 - 2 ** 20;

/** Methods of the host by what they take: numbers, a text, bytes. */
const TAKE_NUMBERS = "soon key load readLog readSegments seal clean abort socketOpen socketClose wake";
const TAKE_TEXT = "event askToken lock";
const TAKE_BYTES = "part broadcast";

/**
 * An instance of the module. One that has trapped is not called again, not even to free what it holds. Without the
 * second part it is not whole: a call that needs it traps, and then the instance `lacks` it.
 */
export class Instance {
  dead = false;
  whole = false;
  lacks = false;
  readonly #wasm: Wasm;
  readonly #hosts = new Map<number, ModuleHost>();
  #made = 0;
  #view = new Uint8Array();
  readonly #encoder = new TextEncoder();
  #decoder!: TextDecoder;
  /** Bytes, since the decoder was made. */
  #decoded = Infinity;
  /** What the call in hand throws, or why the engine could not open. */
  #failure: TidewireError | undefined;
  readonly #left = new FinalizationRegistry<readonly [client: number, host: number]>(([client, host]) => {
    this.#hosts.delete(host);
    // What it takes to free one is in the second part.
    if (!this.dead && this.whole) this.#wasm.client_free(client, 1);
  });

  constructor(module: WebAssembly.Module) {
    const { exports } = new WebAssembly.Instance(module, { host: this.#imports() });
    this.#wasm = exports as unknown as Wasm;
  }

  /** Puts the second part in its place. */
  complete(more: WebAssembly.Module): void {
    if (this.whole || this.dead) return;
    try {
      new WebAssembly.Instance(more, { m: this.#wasm as unknown as WebAssembly.ModuleImports });
    } catch (cause) {
      throw new TidewireError("wasm-load", "The two parts of the WebAssembly module are not of one release.", {
        cause,
      });
    }
    this.whole = true;
  }

  /** Makes a client, or throws what the engine says of its settings. */
  client(config: string, entropy: Uint8Array, host: ModuleHost): ModuleClient {
    const wasm = this.#wasm;
    this.#made += 1;
    this.#hosts.set(this.#made, host);
    const at = wasm.client_make(...this.#text(config), ...this.#bytes(entropy), this.#made);
    this.#raise();
    const client: ModuleClient = {
      call: (what, text, more) => {
        const [first, firstLength] = this.#text(text);
        const [second, secondLength] = this.#text(more);
        const [answer, length] = wasm.client_call(at, what, first, firstLength, second, secondLength);
        this.#raise();
        const read = this.#read(answer, length);
        if (read !== undefined) wasm.free(answer, length, 1);
        return read;
      },
      open: () => wasm.client_open(at),
      close: () => wasm.client_close(at),
      turn: () => wasm.client_turn(at),
      part: (key, bytes) => wasm.client_part(at, key, ...(bytes === undefined ? [0, 0] : this.#bytes(bytes))),
      stored: (...values) => wasm.client_stored(at, ...values),
      response: (token, status, waitMs, json) =>
        wasm.client_response(at, token, status, +(waitMs !== undefined), waitMs ?? 0, +json),
      tell: (what, token, number, text) =>
        wasm.client_tell(at, what, token, number, ...(text === undefined ? [0, 0] : this.#text(text))),
    };
    this.#left.register(client, [at, this.#made]);
    return client;
  }

  #imports(): WebAssembly.ModuleImports {
    const hostOf = (number: number): ModuleHost => this.#hosts.get(number) as ModuleHost;
    const text = (...span: Span): string => this.#read(...span) as string;
    const each = (names: string, take: (...values: number[]) => readonly unknown[]): WebAssembly.ModuleImports => {
      type Methods = { readonly [name: string]: (...values: readonly unknown[]) => void };
      const entry = (name: string) => (host: number, ...values: number[]) =>
        (hostOf(host) as unknown as Methods)[name]?.(...take(...values));
      return Object.fromEntries(names.split(" ").map((name) => [name, entry(name)]));
    };
    return {
      ...each(TAKE_NUMBERS, (...values) => values),
      ...each(TAKE_TEXT, (...span) => [this.#read(...(span as Span))]),
      ...each(TAKE_BYTES, (...span) => [this.#copied(...(span as Span))]),
      append: (host: number, token: number, strict: number) => hostOf(host).append(token, strict !== 0),
      socketSend: (host: number, token: number, ...span: Span) => hostOf(host).socketSend(token, text(...span)),
      fetch: (host: number, token: number, p: number, pl: number, b: number, bl: number, t: number, tl: number) =>
        hostOf(host).fetch(token, text(p, pl), this.#read(b, bl), this.#read(t, tl)),
      opened: (host: number) => hostOf(host).opened(this.#takeFailure()),
      failed: (retryable: number, c: number, cl: number, m: number, ml: number, p: number, pl: number) => {
        const details = { retryable: retryable !== 0, path: this.#read(p, pl) };
        this.#failure = new TidewireError(text(c, cl), text(m, ml), details);
      },
      more: () => {
        this.lacks = true;
        throw new WebAssembly.RuntimeError(LACKING);
      },
      wall: () => time.wall(),
      mono: () => time.mono(),
      log: (...span: Span) => console.error(text(...span)),
      throw: (...span: Span) => {
        throw new Error(text(...span));
      },
    };
  }

  #takeFailure(): TidewireError | undefined {
    const failure = this.#failure;
    this.#failure = undefined;
    return failure;
  }

  #raise(): void {
    const failure = this.#takeFailure();
    if (failure !== undefined) throw failure;
  }

  /** The memory, which has another buffer after it grew. */
  #memory(): Uint8Array {
    if (this.#view.length === 0) this.#view = new Uint8Array(this.#wasm.memory.buffer);
    return this.#view;
  }

  #copied(at: number, length: number): Uint8Array {
    return this.#memory().slice(at >>> 0, (at >>> 0) + length);
  }

  #read(at: number, length: number): string | undefined {
    if (at === 0) return undefined;
    this.#decoded += length;
    if (this.#decoded > DECODED_MAX) {
      this.#decoded = length;
      this.#decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    }
    return this.#decoder.decode(this.#memory().subarray(at >>> 0, (at >>> 0) + length));
  }

  #bytes(bytes: Uint8Array): Span {
    const at = this.#wasm.malloc(bytes.length, 1) >>> 0;
    this.#memory().set(bytes, at);
    return [at, bytes.length];
  }

  #text(text: string): Span {
    const { length } = text;
    const at = this.#wasm.malloc(length, 1) >>> 0;
    const memory = this.#memory();
    if (length > SHORT_TEXT_MAX) {
      // Most texts have as many bytes as characters.
      const { read } = this.#encoder.encodeInto(text, memory.subarray(at, at + length));
      if (read === length) return [at, length];
      this.#wasm.free(at, length, 1);
      return this.#bytes(this.#encoder.encode(text));
    }
    for (let index = 0; index < length; index += 1) {
      const code = text.charCodeAt(index);
      if (code > 0x7f) {
        this.#wasm.free(at, length, 1);
        return this.#bytes(this.#encoder.encode(text));
      }
      memory[at + index] = code;
    }
    return [at, length];
  }
}
