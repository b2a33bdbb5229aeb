/** What a live value can depend on. */
export const topics = {
  collection: (name: string): string => `c/${name}`,
  row: (collection: string, id: string): string => `r/${collection}/${id}`,
  status: "status",
  queue: "queue",
  health: "health",
  conflicts: "conflicts",
} as const;
