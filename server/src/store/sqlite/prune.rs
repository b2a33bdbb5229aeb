//! Removes what is past the horizon: marks, tombstones, leave markers, and verdicts below their replica's floor. A
//! cursor from before it gets a reset, so nobody can miss a deletion. Replicas' floors stay for ever (rule 6).
//!
//! Conflicts that nobody has to decide are deleted when they are old: under a `seq`, so that clients hear of it.

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params};
use tidewire_core::ids::{CONFLICTS, Seq};
use tidewire_core::limits::{CONFLICT_MS, HORIZON_MS};

use super::rows::{begin_commit, int};
use crate::store::StoreError;

/// One pass: a transaction for each tenant, then the verdicts. Returns the tenants with a new `seq`.
pub(super) fn run(
    connection: &mut Connection,
    now_ms: u64,
    horizon: Duration,
) -> Result<Vec<(String, Seq)>, StoreError> {
    let horizon_ms = horizon.as_millis() as u64;
    let cutoff = int(now_ms.saturating_sub(horizon_ms));
    let tenants: Vec<String> =
        connection.prepare("SELECT tenant FROM tenants")?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut news = Vec::new();
    for tenant in tenants {
        prune_tenant(connection, &tenant, cutoff)?;
        if let Some(seq) = prune_conflicts(connection, &tenant, now_ms)? {
            news.push((tenant, seq));
        }
    }
    // Those outlive a short horizon: a device sends again what it has acknowledged for `JOURNAL_MS` when it is reset.
    let decided = int(now_ms.saturating_sub(horizon_ms.max(HORIZON_MS)));
    connection.execute(
        "DELETE FROM verdicts WHERE at < ?1 AND EXISTS (
           SELECT 1 FROM replicas r WHERE r.tenant = verdicts.tenant AND r.subject = verdicts.subject
             AND r.replica = verdicts.replica AND (verdicts.key, verdicts.idx) < (r.floor_key, r.floor_index))",
        [decided],
    )?;
    Ok(news)
}

/// The tombstones hold nothing of what was in them. Their author and those who pull hear of it like of any deletion.
fn prune_conflicts(connection: &mut Connection, tenant: &str, now_ms: u64) -> Result<Option<Seq>, StoreError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let cutoff = int(now_ms.saturating_sub(CONFLICT_MS));
    let old: Vec<(i64, String)> = tx
        .prepare(
            "SELECT rowid, id FROM entities WHERE tenant = ?1 AND collection = '$conflicts' AND deleted = 0 AND at < ?2
               AND json_extract(doc, '$.state') <> 'open'",
        )?
        .query_map(params![tenant, cutoff], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    if old.is_empty() {
        return Ok(None);
    }
    let seq = begin_commit(&tx, tenant, ("", None), now_ms)?;
    for (rowid, id) in old {
        tx.prepare_cached("UPDATE entities SET deleted = 1, rev = ?2, at = ?3, doc = '{}' WHERE rowid = ?1")?
            .execute(params![rowid, int(seq), int(now_ms)])?;
        tx.prepare_cached("UPDATE members SET seq = ?4 WHERE tenant = ?1 AND collection = ?2 AND id = ?3")?
            .execute(params![tenant, CONFLICTS, id, int(seq)])?;
    }
    tx.commit()?;
    Ok(Some(seq))
}

/// The newest commit keeps its mark, so that a tenant at rest is not reset every month.
fn prune_tenant(connection: &mut Connection, tenant: &str, cutoff: i64) -> Result<(), StoreError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let horizon: Option<i64> = tx.query_row(
        "SELECT max(c.seq) FROM commits c, tenants t
         WHERE c.tenant = ?1 AND t.tenant = ?1 AND c.at < ?2 AND c.seq < t.seq",
        params![tenant, cutoff],
        |row| row.get(0),
    )?;
    let Some(horizon) = horizon else { return Ok(()) };
    tx.execute("UPDATE tenants SET horizon = max(horizon, ?2) WHERE tenant = ?1", params![tenant, horizon])?;
    tx.execute("DELETE FROM commits WHERE tenant = ?1 AND seq <= ?2", params![tenant, horizon])?;
    tx.execute("DELETE FROM members WHERE tenant = ?1 AND left = 1 AND seq <= ?2", params![tenant, horizon])?;
    tx.execute(
        "DELETE FROM members WHERE tenant = ?1 AND (collection, id) IN (
           SELECT collection, id FROM entities WHERE tenant = ?1 AND deleted = 1 AND rev <= ?2)",
        params![tenant, horizon],
    )?;
    tx.execute("DELETE FROM entities WHERE tenant = ?1 AND deleted = 1 AND rev <= ?2", params![tenant, horizon])?;
    tx.commit()?;
    Ok(())
}
