//! Removes what is past the horizon: marks, tombstones, leave markers, and verdicts below their replica's floor. A
//! cursor from before it gets a reset, so nobody can miss a deletion. Replicas' floors stay for ever (rule 6).

use rusqlite::{Connection, TransactionBehavior, params};
use tidewire_core::limits::HORIZON_MS;

use super::rows::int;
use crate::store::StoreError;

/// One pass: a transaction for each tenant, then the verdicts.
pub(super) fn run(connection: &mut Connection, now_ms: u64) -> Result<(), StoreError> {
    let cutoff = int(now_ms.saturating_sub(HORIZON_MS));
    let tenants: Vec<String> =
        connection.prepare("SELECT tenant FROM tenants")?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for tenant in tenants {
        prune_tenant(connection, &tenant, cutoff)?;
    }
    connection.execute(
        "DELETE FROM verdicts WHERE at < ?1 AND EXISTS (
           SELECT 1 FROM replicas r WHERE r.tenant = verdicts.tenant AND r.subject = verdicts.subject
             AND r.replica = verdicts.replica AND (verdicts.key, verdicts.idx) < (r.floor_key, r.floor_index))",
        [cutoff],
    )?;
    Ok(())
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
