/** The documents as SQL rows: a column for each field, arrays and objects as JSON text. Shared by the SQL adapters. */
export const COLUMNS = [
  "id",
  "customerId",
  "title",
  "status",
  "amount",
  "currency",
  "createdAt",
  "updatedAt",
  "owner",
  "priority",
  "done",
  "tags",
  "address",
  "note",
];
const INTEGERS = new Set(["amount", "createdAt", "updatedAt", "priority", "done"]);

/** The type of a column. */
export const typeOf = (column) => (INTEGERS.has(column) ? "INTEGER" : "TEXT");

/** A value as SQL has it. */
export function encode(value) {
  if (typeof value === "boolean") return value ? 1 : 0;
  return value !== null && typeof value === "object" ? JSON.stringify(value) : value;
}

/** A document as parameters of `INSERT`. */
export const parametersOf = (doc) => COLUMNS.map((column) => encode(doc[column]));

/** A row as a document. */
export const documentOf = (row) => ({
  ...row,
  done: row.done === 1,
  tags: JSON.parse(row.tags),
  address: JSON.parse(row.address),
});

const marks = COLUMNS.map(() => "?").join(", ");

export const SQL = {
  insert: `INSERT INTO orders (${COLUMNS.join(", ")}) VALUES (${marks})`,
  insertCustomer: "INSERT INTO customers (id, name, region) VALUES (?, ?, ?)",
  get: "SELECT * FROM orders WHERE id = ?",
  page: "SELECT * FROM orders WHERE status = ? AND amount > ? ORDER BY createdAt DESC LIMIT ?",
  countBy: "SELECT status, count(*) AS count FROM orders GROUP BY status",
  rollup: "SELECT customerId, sum(amount) AS total FROM orders GROUP BY customerId ORDER BY 2 DESC, 1 LIMIT 10",
  joined: `SELECT orders.id, customers.name FROM orders JOIN customers ON customers.id = orders.customerId
    WHERE orders.status = ? ORDER BY orders.createdAt DESC LIMIT ?`,
};

/** An edit of some fields. */
export const updateOf = (changes) =>
  `UPDATE orders SET ${Object.keys(changes)
    .map((column) => `${column} = ?`)
    .join(", ")} WHERE id = ?`;
export const updateParameters = (id, changes) => [...Object.values(changes).map(encode), id];
