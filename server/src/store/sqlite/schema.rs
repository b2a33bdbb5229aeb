//! The tables, and how a database of an older release becomes one of this release.

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use crate::store::StoreError;

/// Raised with every change of the tables; kept in `user_version`.
pub const SCHEMA_VERSION: i64 = 6;

const TABLES: &str = "
CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- seq: one per transaction, commit-ordered because there is one writer. horizon: what is gone up to there.
CREATE TABLE tenants (
  tenant TEXT PRIMARY KEY,
  seq INTEGER NOT NULL,
  horizon INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- also: of a tombstone, who had deleted it before without the other having seen it.
CREATE TABLE entities (
  tenant TEXT NOT NULL,
  collection TEXT NOT NULL,
  id TEXT NOT NULL,
  rev INTEGER NOT NULL,
  at INTEGER NOT NULL,
  by TEXT NOT NULL,
  deleted INTEGER NOT NULL,
  doc TEXT NOT NULL,
  paths TEXT NOT NULL,
  groups TEXT NOT NULL,
  also TEXT,
  UNIQUE (tenant, collection, id)
) STRICT;
CREATE INDEX tombstones ON entities (tenant, rev) WHERE deleted = 1;
CREATE INDEX conflicts_by_age ON entities (tenant, at) WHERE collection = '$conflicts' AND deleted = 0;

-- What a group holds; with left = 1, what it held until seq (rule 26).
CREATE TABLE members (
  tenant TEXT NOT NULL,
  grp TEXT NOT NULL,
  collection TEXT NOT NULL,
  id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  left INTEGER NOT NULL,
  PRIMARY KEY (tenant, grp, collection, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_seq ON members (tenant, grp, seq, collection, id, left);
CREATE INDEX leave_markers ON members (tenant, seq) WHERE left = 1;

-- mark: random per commit (rule 24). by: whose push it was, so that its socket hears of it even if it sees nothing.
-- subject: whose it was, to be told what of it is lost (rule 19); null in what release 1 of the tables wrote.
CREATE TABLE commits (
  tenant TEXT NOT NULL,
  seq INTEGER NOT NULL,
  mark TEXT NOT NULL,
  at INTEGER NOT NULL,
  by TEXT NOT NULL,
  subject TEXT,
  PRIMARY KEY (tenant, seq)
) STRICT, WITHOUT ROWID;

-- Never deleted (rule 6).
CREATE TABLE replicas (
  tenant TEXT NOT NULL,
  subject TEXT NOT NULL,
  replica TEXT NOT NULL,
  floor_key INTEGER NOT NULL,
  floor_index INTEGER NOT NULL,
  seen INTEGER NOT NULL,
  PRIMARY KEY (tenant, subject, replica)
) STRICT, WITHOUT ROWID;
CREATE INDEX users_of_replicas ON replicas (tenant, replica);

CREATE TABLE verdicts (
  tenant TEXT NOT NULL,
  subject TEXT NOT NULL,
  replica TEXT NOT NULL,
  key INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  digest INTEGER,
  verdict TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (tenant, subject, replica, key, idx)
) STRICT, WITHOUT ROWID;
CREATE INDEX verdicts_by_age ON verdicts (at);
";

/// The table of [`lookups`](super::lookups), which release 4 did not have.
const LOOKUPS: &str = "
-- What entities are found by: values of natural keys, ids that they refer to.
CREATE TABLE lookups (
  tenant TEXT NOT NULL,
  collection TEXT NOT NULL,
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  id TEXT NOT NULL,
  PRIMARY KEY (tenant, collection, kind, value, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX lookups_of_entities ON lookups (tenant, collection, id);
";

/// The table of [`grants`](super::grants), which release 5 did not have.
const GRANTS: &str = "
-- The groups that an entity puts a user into.
CREATE TABLE grants (
  tenant TEXT NOT NULL,
  subject TEXT NOT NULL,
  collection TEXT NOT NULL,
  id TEXT NOT NULL,
  groups TEXT NOT NULL,
  PRIMARY KEY (tenant, subject, collection, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_of_entities ON grants (tenant, collection, id);
";

/// The table of [`revocations`](super::revocations), which release 5 did not have.
const REVOCATIONS: &str = "
-- Tokens that count no more: of a user, issued up to that time; of a session.
CREATE TABLE revocations (
  tenant TEXT NOT NULL,
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (tenant, kind, value)
) STRICT, WITHOUT ROWID;
";

/// From release 1 of the tables.
const FROM_1: &str = "
ALTER TABLE commits ADD COLUMN subject TEXT;
CREATE INDEX conflicts_by_age ON entities (tenant, at) WHERE collection = '$conflicts' AND deleted = 0;
";

/// From release 2 of the tables.
const FROM_2: &str = "
CREATE INDEX users_of_replicas ON replicas (tenant, replica);
";

/// From release 3 of the tables.
const FROM_3: &str = "
ALTER TABLE entities ADD COLUMN also TEXT;
";

/// Settings of every connection.
pub(super) fn configure(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    // FULL: an answer is given after the log is on the disk, so that power loss keeps what was acknowledged.
    connection.pragma_update(None, "synchronous", "full")?;
    // A long pull keeps the write-ahead log from being folded in; afterwards it shrinks to this again.
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    // Folding it in is part of the commit that reaches this length, and pages that were written often go once: 16 MiB.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 4_000, |_| Ok(()))?;
    connection.pragma_update(None, "foreign_keys", "on")?;
    connection.pragma_update(None, "trusted_schema", "off")?;
    planned_once(connection)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// A plan never depends on the values of a statement. Else SQLite plans anew for each value where a partial index
/// might serve: twice as long as carrying the statement out.
pub(super) fn planned_once(connection: &Connection) -> Result<(), StoreError> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Creates or upgrades the tables and returns the history id.
pub(super) fn open(connection: &mut Connection) -> Result<String, StoreError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        0 => {
            tx.execute_batch(TABLES)?;
            tx.execute_batch(LOOKUPS)?;
            tx.execute_batch(GRANTS)?;
            tx.execute_batch(REVOCATIONS)?;
            tx.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        1..SCHEMA_VERSION => {
            for (release, change) in
                [(1, FROM_1), (2, FROM_2), (3, FROM_3), (4, LOOKUPS), (5, GRANTS), (5, REVOCATIONS)]
            {
                if found <= release {
                    tx.execute_batch(change)?;
                }
            }
            tx.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        SCHEMA_VERSION => {}
        found => return Err(StoreError::Newer { found, known: SCHEMA_VERSION }),
    }
    let history = meta_or_insert(&tx, "history", &super::random_text(2))?;
    tx.commit()?;
    Ok(history)
}

/// Begins a new history: every cursor of the old one is reset (rule 24).
pub(super) fn begin_history(connection: &Connection) -> Result<String, StoreError> {
    let history = super::random_text(2);
    connection.execute("UPDATE meta SET value = ?1 WHERE name = 'history'", [&history])?;
    Ok(history)
}

/// A value of the `meta` table; `value` is stored if there is none.
pub(super) fn meta_or_insert(connection: &Connection, name: &str, value: &str) -> Result<String, StoreError> {
    let stored = connection.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0)).optional()?;
    if let Some(stored) = stored {
        return Ok(stored);
    }
    connection.execute("INSERT INTO meta (name, value) VALUES (?1, ?2)", [name, value])?;
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn a_statement_is_planned_once_for_all_values() {
        let mut connection = Connection::open_in_memory().unwrap();
        configure(&connection).unwrap();
        open(&mut connection).unwrap();
        let text = "SELECT doc FROM entities WHERE tenant = ?1 AND collection = ?2 AND id = ?3";
        let mut statement = connection.prepare(text).unwrap();
        for id in ["a", "b", "c"] {
            let found: Option<String> = statement.query_row(["t", "notes", id], |row| row.get(0)).optional().unwrap();
            assert_eq!(found, None);
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}
