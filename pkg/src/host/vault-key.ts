/**
 * The keys of an encrypted store. Each store has a random data key of its own; the header holds it, sealed with the key
 * that the app gives or that its passphrase becomes. So another passphrase needs no other data, and one key of the app
 * may serve the stores of many users.
 *
 * The invariant: no key of the app, no passphrase and no open data key is ever stored.
 */
import type { FaceCode } from "../errors.js";

/** A key of the app: AES-GCM with 256 bits, not extractable, or its 32 bytes; or a passphrase that becomes one. */
export type Encryption = { readonly key: CryptoKey | Uint8Array } | { readonly passphrase: string };

/** What `encrypt` takes: the same for every user of the device, or what a function gives for one (null: nobody). */
export type Encrypt = Encryption | ((user: string | null) => Encryption | Promise<Encryption>);

/**
 * Why a store does not open; the face makes it a `TidewireError`. That class is not imported here: one chunk more that
 * shares it, and bundlers cut it out of the main one, which costs every app more than this class.
 */
export class Refusal extends Error {
  readonly retryable = false;

  constructor(
    readonly code: FaceCode | "format-newer",
    readonly hint: string,
    options?: ErrorOptions,
  ) {
    super(hint, options);
  }
}

type Bytes = Uint8Array<ArrayBuffer>;

/** What a store says of its keys. */
export interface Header {
  readonly version: number;
  /** The database's random id. */
  readonly id: Bytes;
  /** Of a passphrase: PBKDF2 with SHA-256. */
  readonly salt?: Bytes;
  readonly rounds?: number;
  readonly iv: Bytes;
  /** The sealed data key. */
  readonly key: Bytes;
}

const VERSION = 1;
/** What OWASP asks of PBKDF2 with SHA-256 (2023). */
const ROUNDS = 600_000;
const KEY_BYTES = 32;
const USES: KeyUsage[] = ["encrypt", "decrypt"];

/** A header for a new store. */
export async function fresh(secret: Encryption): Promise<Header> {
  const draft = { version: VERSION, id: random(16), iv: random(12), key: random(KEY_BYTES) };
  const header = isPassphrase(secret) ? { ...draft, salt: random(16), rounds: ROUNDS } : draft;
  const outer = await unlock(header, secret);
  const key = new Uint8Array(await crypto.subtle.encrypt(options(header), outer, draft.key));
  draft.key.fill(0);
  return { ...header, key };
}

/** The key that the data key of this header is sealed with, if the secret is the right one. */
export async function unlock(header: Header, secret: Encryption): Promise<CryptoKey> {
  if (header.version > VERSION) {
    throw new Refusal("format-newer", "A newer release encrypted this store: reload the page.");
  }
  if (!isPassphrase(secret)) return importKey(secret.key);
  const text = new TextEncoder().encode(secret.passphrase.normalize("NFKC"));
  const material = await crypto.subtle.importKey("raw", text, "PBKDF2", false, ["deriveKey"]);
  const { salt = header.id, rounds: iterations = ROUNDS } = header;
  const derivation = { name: "PBKDF2", hash: "SHA-256", salt, iterations };
  return crypto.subtle.deriveKey(derivation, material, { name: "AES-GCM", length: 256 }, false, USES);
}

/** Opens the data key. */
export async function dataKey(header: Header, outer: CryptoKey): Promise<CryptoKey> {
  let key: Bytes;
  try {
    key = new Uint8Array(await crypto.subtle.decrypt(options(header), outer, header.key));
  } catch (cause) {
    throw new Refusal(
      "wrong-key",
      "This is not the key or the passphrase of this store. Nothing was changed: close the database and open it with " +
        "the right one, or erase it.",
      { cause },
    );
  }
  const imported = await crypto.subtle.importKey("raw", key, "AES-GCM", false, USES);
  key.fill(0);
  return imported;
}

/** The sealed data key belongs to its database. */
function options({ version, id, iv }: Header): AesGcmParams {
  return { name: "AES-GCM", iv, additionalData: Uint8Array.of(version, ...id) };
}

function isPassphrase(secret: Encryption): secret is { readonly passphrase: string } {
  const { passphrase, key } = (secret ?? {}) as { passphrase?: unknown; key?: unknown };
  if (typeof passphrase === "string" && passphrase !== "" && key === undefined) return true;
  if (passphrase === undefined && (key instanceof CryptoKey || key instanceof Uint8Array)) return false;
  throw badKey("`encrypt` is { passphrase: \"…\" } or { key }, a CryptoKey or 32 bytes, or a function that gives one.");
}

async function importKey(key: CryptoKey | Uint8Array): Promise<CryptoKey> {
  if (key instanceof Uint8Array) {
    if (key.length !== KEY_BYTES) throw badKey("`encrypt.key` has 32 bytes.");
    return crypto.subtle.importKey("raw", key as Bytes, "AES-GCM", false, USES);
  }
  const { name, length } = key.algorithm as AesKeyAlgorithm;
  const fits = name === "AES-GCM" && length === 8 * KEY_BYTES && USES.every((use) => key.usages.includes(use));
  if (!fits || key.extractable) {
    throw badKey('`encrypt.key` is a key of AES-GCM with 256 bits, not extractable, to "encrypt" and "decrypt".');
  }
  return key;
}

function badKey(hint: string): Refusal {
  return new Refusal("bad-config", hint);
}

function random(bytes: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(bytes));
}
