/** The worker of the SQLite adapter: a database in the origin's private file system, and prepared statements. */
import sqlite3InitModule from "@sqlite.org/sqlite-wasm";
import { COLUMNS, typeOf } from "./orders.js";

const SETTINGS = {
  strict: ["PRAGMA journal_mode = TRUNCATE", "PRAGMA synchronous = FULL"],
  relaxed: ["PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL"],
};
const columns = COLUMNS.map((column) => `${column} ${typeOf(column)}${column === "id" ? " PRIMARY KEY" : ""}`);
const TABLES = [
  `CREATE TABLE IF NOT EXISTS orders (${columns.join(", ")}) WITHOUT ROWID`,
  "CREATE INDEX IF NOT EXISTS newest ON orders (status, createdAt DESC, amount)",
  "CREATE TABLE IF NOT EXISTS customers (id TEXT PRIMARY KEY, name TEXT, region TEXT) WITHOUT ROWID",
];

let db;
const statements = new Map();

const operations = {
  async open({ name, durability }) {
    const sqlite3 = await sqlite3InitModule();
    const pool = await sqlite3.installOpfsSAHPoolVfs({ name: "opfs-sahpool" });
    db = new pool.OpfsSAHPoolDb(`/${name}.db`);
    db.exec("PRAGMA locking_mode = EXCLUSIVE");
    for (const sql of [...SETTINGS[durability], "PRAGMA cache_size = -50000", ...TABLES]) db.exec(sql);
    return db.selectValue("PRAGMA journal_mode");
  },
  /** Runs one statement with each list of parameters, in one transaction. */
  run({ sql, lists }) {
    const statement = prepared(sql);
    const work = () => {
      for (const list of lists) statement.bind(list).stepReset();
    };
    if (lists.length === 1) work();
    else db.transaction(work);
  },
  /** The rows of a query. */
  rows({ sql, list }) {
    const statement = prepared(sql);
    const found = [];
    if (list.length > 0) statement.bind(list);
    while (statement.step()) found.push(statement.get({}));
    statement.reset();
    return found;
  },
};

function prepared(sql) {
  if (!statements.has(sql)) statements.set(sql, db.prepare(sql));
  return statements.get(sql);
}

onmessage = async ({ data: { id, operation, given } }) => {
  try {
    postMessage({ id, answer: await operations[operation](given) });
  } catch (error) {
    postMessage({ id, error: String(error?.message ?? error) });
  }
};
