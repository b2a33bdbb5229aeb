// What a build step reads, as one fingerprint: contents, not times, so that a fresh clone or a touch changes nothing.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { root } from "./shell.mjs";

const NOT_SOURCES = new Set([".git", ".tidewire", "artifacts", "dist", "node_modules", "target"]);
const STAMPS = join(root, "target", "parts.json");

/** Hashes files and directories (relative to the repository) and `salt`. */
export function fingerprint(paths, salt = "") {
  const hash = createHash("sha256").update(salt);
  for (const path of paths) {
    for (const file of filesBelow(path)) hash.update(`\0${file}\0`).update(readFileSync(join(root, file)));
  }
  return hash.digest("hex").slice(0, 32);
}

/** All files of a directory, or the file itself, or nothing; in a stable order. */
export function filesBelow(path) {
  const full = join(root, path);
  if (!existsSync(full)) return [];
  if (!statSync(full).isDirectory()) return [path];
  const names = readdirSync(full).filter((name) => !NOT_SOURCES.has(name)).sort();
  return names.flatMap((name) => filesBelow(join(path, name)));
}

/** The fingerprint that `part` was last built from. */
export function stampOf(part) {
  return readStamps()[part];
}

/** Remembers what `part` was built from. */
export function stamp(part, value) {
  mkdirSync(dirname(STAMPS), { recursive: true });
  writeFileSync(STAMPS, `${JSON.stringify({ ...readStamps(), [part]: value }, null, 2)}\n`);
}

function readStamps() {
  try {
    return JSON.parse(readFileSync(STAMPS, "utf8"));
  } catch {
    return {};
  }
}
