/** What the demo keeps. Validators are Zod; Tidewire infers every row type from them. */
import { collection } from "tidewire";
import { z } from "zod";

export const customerStatuses = ["lead", "active", "former"] as const;
export const proposalStatuses = ["draft", "sent", "won", "lost"] as const;

export const customer = z.object({
  name: z.string().trim().min(1, "Give the customer a name."),
  company: z.string().default(""),
  email: z
    .union([z.literal(""), z.email("Write an address such as ada@example.com, or leave it empty.")])
    .default(""),
  phone: z.string().default(""),
  city: z.string().default(""),
  status: z.enum(customerStatuses).default("lead"),
  calls: z.number().default(0),
  tags: z.array(z.string()).default([]),
  notes: z.string().default(""),
});

export const proposal = z.object({
  title: z.string().trim().min(1, "Give the proposal a title."),
  customerId: z.string().min(1, "Choose a customer."),
  status: z.enum(proposalStatuses).default("draft"),
  amount: z.number("Write the amount as a number.").min(0, "The amount cannot be negative.").default(0),
  notes: z.string().default(""),
});

/** The sample data is dirty and stays so: titles that are numbers, nulls everywhere, fields that may be missing. */
const dirty = z.union([z.string(), z.number(), z.boolean(), z.null()]).optional();

export const movie = z.object({
  Title: dirty,
  "US Gross": dirty,
  "Worldwide Gross": dirty,
  "US DVD Sales": dirty,
  "Production Budget": dirty,
  "Release Date": dirty,
  "MPAA Rating": dirty,
  "Running Time min": dirty,
  Distributor: dirty,
  Source: dirty,
  "Major Genre": dirty,
  "Creative Type": dirty,
  Director: dirty,
  "Rotten Tomatoes Rating": dirty,
  "IMDB Rating": dirty,
  "IMDB Votes": dirty,
});

/** A line of any imported file: where it stood, and what it held, untouched. */
export const record = z.object({
  n: z.number(),
  source: z.string(),
  data: z.record(z.string(), z.unknown()),
});

/**
 * How concurrent edits of one field are settled; what is not named here goes to the later writer. The server is told
 * the same by `www/tidewire.toml`.
 */
export const customerOptions = { fields: { tags: "union", calls: "counter", notes: "text" } } as const;
/** What an offer is called, costs, and whether it is won: people decide, in the conflict inbox. */
export const proposalOptions = {
  fields: { title: "manual", amount: "manual", status: "manual", notes: "text" },
} as const;

export const collections = {
  customers: collection(customer, customerOptions),
  proposals: collection(proposal, proposalOptions),
  movies: collection(movie),
  records: collection(record),
};

export type CollectionName = keyof typeof collections;
export type CustomerStatus = (typeof customerStatuses)[number];
export type ProposalStatus = (typeof proposalStatuses)[number];
export type MovieField = keyof z.infer<typeof movie>;
export const movieFields = Object.keys(movie.shape) as MovieField[];
