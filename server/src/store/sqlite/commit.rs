//! One transaction of a tenant: its `seq`, and the mark by which cursors know it (rules 22, 24).

use rusqlite::{Connection, OptionalExtension, params};
use tidewire_core::ids::Seq;

use super::columns::int;
use super::random_text;
use crate::store::StoreError;

/// The next `seq` of a tenant, after `seq` if that is known, made by a replica of a user (nobody: by the server
/// itself).
pub(super) fn begin_commit(
    connection: &Connection,
    tenant: &str,
    seq: Option<Seq>,
    (replica, subject): (&str, Option<&str>),
    now_ms: u64,
) -> Result<Seq, StoreError> {
    let seq = match seq {
        Some(seq) => int(seq) + 1,
        None => connection
            .prepare_cached("SELECT seq + 1 FROM tenants WHERE tenant = ?1")?
            .query_row([tenant], |row| row.get(0))
            .optional()?
            .unwrap_or(1),
    };
    connection
        .prepare_cached(
            "INSERT INTO tenants (tenant, seq) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET seq = excluded.seq",
        )?
        .execute(params![tenant, seq])?;
    connection
        .prepare_cached("INSERT INTO commits (tenant, seq, mark, at, by, subject) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![tenant, seq, random_text(1), int(now_ms), replica, subject])?;
    Ok(seq.cast_unsigned())
}
