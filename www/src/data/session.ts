/** Who uses the demo, against which server, and the token that says so. */

const page = new URLSearchParams(location.search);

/** The people that the development server knows no secrets about: it gives a token to any name. */
export const people = ["alice", "bob", "carol"] as const;

export const user = cleanName(page.get("user") ?? "alice");
export const serverUrl = page.get("server") ?? location.origin;

const tokenTimeoutMs = 8_000;
const renewBeforeMs = 30_000;
let cached: Token | undefined;

interface Token {
  readonly token: string;
  readonly expiresAtMs: number;
}

/** Opens the demo as somebody else. Every person has a database of their own, so the page starts anew. */
export function switchUser(name: string): void {
  const next = new URL(location.href);
  next.searchParams.set("user", cleanName(name));
  next.hash = "";
  location.assign(next);
}

/** The `auth` function of `openDb`. It never waits long: offline it fails at once, and Tidewire tries again later. */
export async function fetchToken(why: "start" | "expiring" | "rejected"): Promise<string> {
  if (why === "start" && cached && cached.expiresAtMs - Date.now() > renewBeforeMs) return cached.token;
  if (!navigator.onLine) throw new Error("The browser is offline: no token can be fetched now.");
  cached = await askForToken(user);
  return cached.token;
}

/** A token of anybody, for a second device in this page. */
export async function tokenOf(name: string): Promise<string> {
  return (await askForToken(name)).token;
}

async function askForToken(name: string): Promise<Token> {
  const response = await fetch(new URL("/api/dev/token", serverUrl), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ user: name }),
    signal: AbortSignal.timeout(tokenTimeoutMs),
  });
  if (!response.ok) {
    throw new Error(`The server gave no demo token (${response.status}). Start it with --dev.`);
  }
  const { token, expiresAt } = (await response.json()) as { token: string; expiresAt: number | string };
  return { token, expiresAtMs: toMilliseconds(expiresAt) };
}

function toMilliseconds(time: number | string): number {
  if (typeof time === "string") return Date.parse(time);
  return time < 1e11 ? time * 1000 : time;
}

function cleanName(name: string): string {
  return (
    name
      .toLowerCase()
      .replace(/[^a-z0-9-]/g, "")
      .slice(0, 32) || "alice"
  );
}
