/** What a live value can depend on. */
export const topics = {
  collection: (name: string): string => `c/${name}`,
  row: (collection: string, id: string): string => `r/${collection}/${id}`,
  /** Those of these rows that may be among the topics: of fifty thousand new rows nobody watches most. */
  rows(collection: string, ids: ReadonlySet<string>, among: ReadonlyMap<string, unknown>): string[] {
    if (ids.size < among.size) return [...ids].map((id) => topics.row(collection, id));
    const prefix = `r/${collection}/`;
    return [...among.keys()].filter((topic) => topic.startsWith(prefix) && ids.has(topic.slice(prefix.length)));
  },
  status: "status",
  queue: "queue",
  health: "health",
  conflicts: "conflicts",
} as const;
