/** The address after `#`: `#/customers/42` shows the entity 42 beside the list of customers. */
import { useSyncExternalStore } from "react";

export const pages = [
  "customers",
  "proposals",
  "movies",
  "records",
  "import",
  "queue",
  "conflicts",
  "settled",
  "health",
] as const;
export type PageName = (typeof pages)[number];

export interface Route {
  page: PageName;
  id: string | undefined;
}

export function useRoute(): Route {
  return parseRoute(useSyncExternalStore(onHashChange, () => location.hash));
}

export function parseRoute(hash: string): Route {
  const [, name = "", id] = hash.split("/");
  const page = pages.find((known) => known === name) ?? "customers";
  return { page, id: id ? decodeURIComponent(id) : undefined };
}

export function hrefTo(page: PageName, id?: string): string {
  return id === undefined ? `#/${page}` : `#/${page}/${encodeURIComponent(id)}`;
}

export function goTo(page: PageName, id?: string): void {
  location.hash = hrefTo(page, id);
}

function onHashChange(listener: () => void): () => void {
  addEventListener("hashchange", listener);
  return () => removeEventListener("hashchange", listener);
}
