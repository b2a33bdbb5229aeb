/**
 * What the server sends, without the sensitive fields: nothing that the engine behind it can store holds one. Changes
 * and frames lose the fields, conflicts about them lose their values, and the collections have no digests, as their
 * documents are no longer the server's.
 *
 * The invariant: a value leaves here only under a path that no sensitive one covers or lies below.
 */
import type { JsonObject } from "../json.js";
import { overlaps, placeOf, pointerKeys, readPointer, toPointer } from "../path.js";
import type { Net } from "./net.js";

/** Pointers of the sensitive fields of each collection that has some. */
export type Fields = ReadonlyMap<string, readonly string[]>;

type Tree = { [key: string]: unknown };

interface Row {
  readonly c: string;
  doc?: Tree | null;
}

/** The same server, seen so. */
export function stripped(net: Net, fields: Fields): Net {
  return {
    exchange: async (path, body, bearer, signal, answer) => {
      const lines = new Lines((line) => stripLine(line, fields, body));
      let pieces = true;
      await net.exchange(path, body, bearer, signal, {
        head: (status, retryAfterMs, json) => {
          pieces = status === 200 && json;
          answer.head(status, retryAfterMs, json);
        },
        piece: (bytes) => (pieces ? answer.piece(lines.take(bytes)) : answer.piece(bytes)),
      });
      const rest = lines.end();
      if (rest.length > 0) await answer.piece(rest);
    },
    socket: (news) => {
      // One is under way at a time. The engine's messages begin with what they are.
      let push: string | undefined;
      const text = (text: string): void => news.text(safely(() => stripMessage(text, fields, push)));
      const socket = net.socket({ ...news, text });
      return {
        send: (text) => {
          if (text.startsWith('{"t":"push"')) push = text;
          socket.send(text);
        },
        close: () => socket.close(),
      };
    },
  };
}

/** Takes a field out of a value. */
export function drop(value: Tree, pointer: string): void {
  const place = placeOf(value, pointer);
  if (place === undefined) return;
  const at = find(value, place.slice(0, place.lastIndexOf("/")));
  if (isTree(at)) delete at[pointerKeys(place).at(-1) as string];
}

/** The value at a pointer. */
export function find(value: unknown, pointer: string): unknown {
  return readPointer(value as JsonObject, pointer);
}

/** Puts a value at a pointer; objects on the way are made. */
export function put(row: Tree, pointer: string, value: unknown): void {
  if (value === undefined) return;
  const keys = pointerKeys(pointer);
  let at = row;
  for (const key of keys.slice(0, -1)) {
    const below = at[key];
    at = isTree(below) ? below : ((at[key] = {}) as Tree);
  }
  at[keys.at(-1) as string] = value;
}

function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** One line of a pull, or the whole answer to a push, whose body `asked` is. */
function stripLine(line: string, fields: Fields, asked: string | undefined): string {
  const said = JSON.parse(line) as Tree & Verdicts;
  if (typeof said["c"] === "string") return JSON.stringify(stripRow(said as unknown as Row, fields));
  for (const name of fields.keys()) drop(said, toPointer(["digests", name]));
  stripAnswer(said, fields, () => JSON.parse(asked ?? "{}") as Push);
  return JSON.stringify(said);
}

/** What is said of the edits of a push. */
interface Verdicts {
  readonly verdicts?: readonly Item[];
  readonly forked?: readonly (Item & { readonly same?: Item })[];
}

interface Push {
  readonly mutations?: readonly { n: readonly number[]; m?: { c: string } }[];
}

function stripAnswer({ verdicts = [], forked = [] }: Verdicts, fields: Fields, asked: () => Push): void {
  const told = [...verdicts, ...forked.map(({ n, same }) => ({ ...same, n }))];
  if (told.length > 0) stripVerdicts(told, fields, asked());
}

/** What is said of an edit. */
interface Item {
  readonly n: readonly number[];
  readonly overwritten?: readonly Tree[];
  readonly displaced?: readonly Tree[];
}

/** An answer names no collection, the question does. */
function stripVerdicts(verdicts: readonly Item[], fields: Fields, { mutations = [] }: Push): void {
  const collections = new Map(mutations.map(({ n, m }) => [`${n}`, m?.c]));
  for (const { n, overwritten = [], displaced = [] } of verdicts) {
    const collection = collections.get(`${n}`);
    const paths = collection === undefined ? [...fields.values()].flat() : (fields.get(collection) ?? []);
    for (const lost of [...overwritten, ...displaced]) stripValues(lost, paths);
  }
}

/** A message of the live channel, on which `push` was the last. */
function stripMessage(text: string, fields: Fields, push: string | undefined): string {
  const said = JSON.parse(text) as { id?: number; changes?: Row[]; body?: Verdicts };
  for (const row of said.changes ?? []) stripRow(row, fields);
  stripAnswer(said.body ?? {}, fields, () => {
    const { id, body } = JSON.parse(push ?? "{}") as { id?: number; body?: Push };
    return (id === said.id && body) || {};
  });
  return JSON.stringify(said);
}

function stripRow(row: Row, fields: Fields): Row {
  const { doc } = row;
  if (!doc) return row;
  if (row.c === "$conflicts") stripValues(doc, fields.get(doc["c"] as string) ?? []);
  for (const path of fields.get(row.c) ?? []) drop(doc, path);
  return row;
}

/** What is said of one field: its values go, or what in them is sensitive. */
function stripValues(said: Tree, paths: readonly string[]): void {
  const at = said["path"] as string;
  for (const path of paths.filter((path) => overlaps(at, path))) {
    for (const name of ["base", "yours", "kept"]) {
      const value = said[name];
      if (at.length >= path.length || Array.isArray(value)) delete said[name];
      else if (isTree(value)) drop(value, path.slice(at.length));
    }
  }
}

/** Bytes as they come, in whole lines. */
class Lines {
  readonly #decoder = new TextDecoder();
  readonly #encoder = new TextEncoder();
  #rest = "";

  constructor(private readonly change: (line: string) => string) {}

  take(bytes: Uint8Array): Uint8Array {
    const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split("\n");
    this.#rest = lines.pop() as string;
    return this.#encoder.encode(lines.map((line) => `${this.#changed(line)}\n`).join(""));
  }

  /** What came after the last line. */
  end(): Uint8Array {
    return this.#encoder.encode(this.#changed(this.#rest + this.#decoder.decode()));
  }

  #changed(line: string): string {
    return line.trim() === "" ? "" : safely(() => this.change(line));
  }
}

/** What is no JSON, or not of this protocol, the engine is not shown; it says so itself. */
function safely(change: () => string): string {
  try {
    return change();
  } catch {
    return "?";
  }
}
