/**
 * What a page leaves in a store, so that a service worker may send what is queued there: a copy of a token, and the
 * settings that the page had. It lies in `meta`, sealed with a key whose bytes the browser gives to nobody.
 *
 * That keeps the token from whoever searches the profile's files for one. It does not keep it from who can run the
 * browser, or scripts of the site, with that profile.
 */
import { time } from "../env.js";
import { DATA, databaseName, open } from "../host/connection.js";
import { read, reply, write } from "../host/request.js";
import type { ClientConfig } from "../wasm/wire.js";

/** Its key in `meta`. */
const PASS = 8;
const VERSION = 1;

/** See the module's text. */
export interface Pass {
  readonly token: string;
  readonly config: ClientConfig;
}

/** As it is stored. */
interface Sealed {
  readonly version: number;
  readonly key: CryptoKey;
  readonly iv: Uint8Array<ArrayBuffer>;
  readonly bytes: ArrayBuffer;
}

/** Leaves a pass in a store, or takes the one away that is there. Returns whether there is such a store. */
export async function putPass(store: string, pass: Pass | undefined): Promise<boolean> {
  const sealed = pass && (await seal(store, pass));
  const done = await withStore(store, (db) =>
    write(db, ["meta"], "relaxed", (stores) => {
      if (sealed === undefined) stores("meta").delete(PASS);
      else stores("meta").put(sealed, PASS);
      return true;
    }),
  );
  return done ?? false;
}

/** Whether there is such a store, and the pass in it. One that cannot be opened is none. */
export async function findPass(store: string): Promise<{ readonly pass?: Pass } | undefined> {
  const found = await withStore(store, async (db) => ({
    sealed: await read(db, ["meta"], (stores) => reply<Sealed | undefined>(stores("meta").get(PASS))),
  }));
  if (found?.sealed?.version !== VERSION) return found && {};
  return unseal(store, found.sealed).then(
    (pass) => ({ pass }),
    () => ({}),
  );
}

/** Opens a database for one look; one that is not there is not made. */
async function withStore<T>(store: string, work: (db: IDBDatabase) => Promise<T>): Promise<T | undefined> {
  const db = await open(databaseName(store), DATA);
  try {
    return db && (await work(db));
  } finally {
    db?.close();
  }
}

async function seal(store: string, pass: Pass): Promise<Sealed> {
  const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
  const iv = time.random(12);
  const bytes = await crypto.subtle.encrypt(cipher(store, iv), key, new TextEncoder().encode(JSON.stringify(pass)));
  return { version: VERSION, key, iv, bytes };
}

async function unseal(store: string, { key, iv, bytes }: Sealed): Promise<Pass> {
  return JSON.parse(new TextDecoder().decode(await crypto.subtle.decrypt(cipher(store, iv), key, bytes))) as Pass;
}

/** A pass is bound to its store. */
function cipher(store: string, iv: Uint8Array<ArrayBuffer>): AesGcmParams {
  return { name: "AES-GCM", iv, additionalData: new TextEncoder().encode(databaseName(store)) };
}
