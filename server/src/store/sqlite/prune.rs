//! Removes what is past the horizon: marks, tombstones, leave markers, and verdicts below their replica's floor. A
//! cursor from before it gets a reset, so nobody can miss a deletion. Replicas' floors stay for ever (rule 6).
//!
//! Conflicts that nobody has to decide are deleted when they are old: under a `seq`, so that clients hear of it.
//!
//! A pass goes in slices, each a transaction of a bounded number of rows: a push waits for one of them at the most.

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params};
use tidewire_core::ids::{CONFLICTS, Seq};
use tidewire_core::limits::{CONFLICT_MS, HORIZON_MS};

use super::commit::begin_commit;
use super::rows::{from_json, int};
use crate::store::StoreError;

/// Rows of a kind that a slice removes at the most: some milliseconds of the writer's time.
const SLICE_ROWS: i64 = 256;

/// A pass under way: one tenant after the other, then the verdicts.
pub(super) struct Pass {
    now_ms: u64,
    horizon_ms: u64,
    /// Tenants with something left, maybe.
    tenants: Vec<String>,
    /// The verdict that was looked at last: they go by their age.
    verdict: VerdictKey,
}

/// `at`, and the primary key.
type VerdictKey = (i64, String, String, String, i64, i64);

/// What came of a slice.
#[derive(Default)]
pub(super) struct Slice {
    /// Nothing is left to do.
    pub(super) is_last: bool,
    /// A tenant with a new `seq`.
    pub(super) news: Option<(String, Seq)>,
}

impl Pass {
    pub(super) fn begin(connection: &Connection, now_ms: u64, horizon: Duration) -> Result<Self, StoreError> {
        let tenants = connection
            .prepare("SELECT tenant FROM tenants")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let verdict = (i64::MIN, String::new(), String::new(), String::new(), 0, 0);
        Ok(Self { now_ms, horizon_ms: horizon.as_millis() as u64, tenants, verdict })
    }

    /// The next slice.
    pub(super) fn go_on(&mut self, connection: &mut Connection) -> Result<Slice, StoreError> {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut slice = Slice::default();
        if let Some(tenant) = self.tenants.last() {
            let is_over = prune_tenant(&tx, tenant, int(self.now_ms.saturating_sub(self.horizon_ms)))?;
            let (conflicts, seq) = prune_conflicts(&tx, tenant, self.now_ms)?;
            slice.news = seq.map(|seq| (tenant.clone(), seq));
            if is_over && conflicts < SLICE_ROWS {
                self.tenants.pop();
            }
        } else {
            slice.is_last = self.prune_verdicts(&tx)?;
        }
        tx.commit()?;
        Ok(slice)
    }

    /// Those outlive a short horizon: a device sends again what it has acknowledged for `JOURNAL_MS` when it is reset.
    /// Claims (`authority::claims`) have no floor.
    fn prune_verdicts(&mut self, tx: &Connection) -> Result<bool, StoreError> {
        let cutoff = int(self.now_ms.saturating_sub(self.horizon_ms.max(HORIZON_MS)));
        let (at, tenant, subject, replica, key, index) = &self.verdict;
        let found: Vec<(VerdictKey, bool)> = tx
            .prepare_cached(
                "SELECT v.at, v.tenant, v.subject, v.replica, v.key, v.idx,
                        v.replica LIKE '~%' OR coalesce((v.key, v.idx) < (r.floor_key, r.floor_index), 0)
                 FROM verdicts v LEFT JOIN replicas r
                   ON r.tenant = v.tenant AND r.subject = v.subject AND r.replica = v.replica
                 WHERE v.at < ?1 AND (v.at, v.tenant, v.subject, v.replica, v.key, v.idx) > (?2, ?3, ?4, ?5, ?6, ?7)
                 ORDER BY v.at, v.tenant, v.subject, v.replica, v.key, v.idx LIMIT ?8",
            )?
            .query_map(params![cutoff, at, tenant, subject, replica, key, index, SLICE_ROWS], |row| {
                let key = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?);
                Ok((key, row.get(6)?))
            })?
            .collect::<Result<_, _>>()?;
        for ((_, tenant, subject, replica, key, index), _) in found.iter().filter(|(_, is_below)| *is_below) {
            tx.prepare_cached(
                "DELETE FROM verdicts WHERE tenant = ?1 AND subject = ?2 AND replica = ?3 AND key = ?4 AND idx = ?5",
            )?
            .execute(params![tenant, subject, replica, key, index])?;
        }
        let is_last = (found.len() as i64) < SLICE_ROWS;
        if let Some((key, _)) = found.into_iter().next_back() {
            self.verdict = key;
        }
        Ok(is_last)
    }
}

/// The newest commit keeps its mark, so that a tenant at rest is not reset every month. Says whether that was all.
fn prune_tenant(tx: &Connection, tenant: &str, cutoff: i64) -> Result<bool, StoreError> {
    let oldest: Option<i64> = tx
        .prepare_cached(
            "SELECT max(seq) FROM (SELECT seq, at FROM commits WHERE tenant = ?1 ORDER BY seq LIMIT ?3)
             WHERE at < ?2 AND seq < (SELECT seq FROM tenants WHERE tenant = ?1)",
        )?
        .query_row(params![tenant, cutoff, SLICE_ROWS], |row| row.get(0))?;
    if let Some(seq) = oldest {
        tx.prepare_cached("UPDATE tenants SET horizon = max(horizon, ?2) WHERE tenant = ?1")?
            .execute(params![tenant, seq])?;
    }
    let commits = tx
        .prepare_cached("DELETE FROM commits WHERE tenant = ?1 AND seq <= ?2")?
        .execute(params![tenant, oldest.unwrap_or(-1)])?;
    let horizon: i64 =
        tx.prepare_cached("SELECT horizon FROM tenants WHERE tenant = ?1")?.query_row([tenant], |row| row.get(0))?;
    let left = tx
        .prepare_cached(
            "DELETE FROM members WHERE (tenant, grp, collection, id) IN (
               SELECT tenant, grp, collection, id FROM members
               WHERE tenant = ?1 AND left = 1 AND seq <= ?2 ORDER BY seq LIMIT ?3)",
        )?
        .execute(params![tenant, horizon, SLICE_ROWS])?;
    let tombstones: Vec<(i64, Row)> = tx
        .prepare_cached(
            "SELECT rowid, collection, id, groups FROM entities
             WHERE tenant = ?1 AND deleted = 1 AND rev <= ?2 ORDER BY rev LIMIT ?3",
        )?
        .query_map(params![tenant, horizon, SLICE_ROWS], |row| {
            Ok((row.get(0)?, (row.get(1)?, row.get(2)?, row.get(3)?)))
        })?
        .collect::<Result<_, _>>()?;
    for (rowid, row) in &tombstones {
        for (group, collection, id) in members(row)? {
            tx.prepare_cached("DELETE FROM members WHERE tenant = ?1 AND grp = ?2 AND collection = ?3 AND id = ?4")?
                .execute(params![tenant, group, collection, id])?;
        }
        tx.prepare_cached("DELETE FROM entities WHERE rowid = ?1")?.execute([rowid])?;
    }
    let most = commits.max(left).max(tombstones.len());
    Ok((most as i64) < SLICE_ROWS)
}

/// An entity's collection, id, and groups as they are stored.
type Row = (String, String, String);

/// The groups that hold an entity: `put` stores them with it. Those that held it before have leave markers.
fn members((collection, id, groups): &Row) -> Result<Vec<(String, &str, &str)>, StoreError> {
    let groups: Vec<String> = from_json(groups)?;
    Ok(groups.into_iter().map(|group| (group, collection.as_str(), id.as_str())).collect())
}

/// The tombstones hold nothing of what was in them. Their author and those who pull hear of it like of any deletion.
/// Says how many there were.
fn prune_conflicts(tx: &Connection, tenant: &str, now_ms: u64) -> Result<(i64, Option<Seq>), StoreError> {
    let cutoff = int(now_ms.saturating_sub(CONFLICT_MS));
    let old: Vec<(i64, Row)> = tx
        .prepare_cached(
            "SELECT rowid, id, groups FROM entities WHERE tenant = ?1 AND collection = '$conflicts' AND deleted = 0
               AND at < ?2 AND json_extract(doc, '$.state') <> 'open' ORDER BY at LIMIT ?3",
        )?
        .query_map(params![tenant, cutoff, SLICE_ROWS], |row| {
            Ok((row.get(0)?, (CONFLICTS.to_owned(), row.get(1)?, row.get(2)?)))
        })?
        .collect::<Result<_, _>>()?;
    if old.is_empty() {
        return Ok((0, None));
    }
    let seq = begin_commit(tx, tenant, None, ("", None), now_ms)?;
    for (rowid, row) in &old {
        tx.prepare_cached("UPDATE entities SET deleted = 1, rev = ?2, at = ?3, doc = '{}' WHERE rowid = ?1")?
            .execute(params![rowid, int(seq), int(now_ms)])?;
        for (group, collection, id) in members(row)? {
            tx.prepare_cached(
                "UPDATE members SET seq = ?5 WHERE tenant = ?1 AND grp = ?2 AND collection = ?3 AND id = ?4",
            )?
            .execute(params![tenant, group, collection, id, int(seq)])?;
        }
    }
    Ok((old.len() as i64, Some(seq)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::schema;

    const ROWS: i64 = 1_000;
    const NOW_MS: u64 = 10 * HORIZON_MS;

    /// A tenant whose entities were all deleted, moved or decided long ago; its newest commit is of today.
    fn long_ago() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::open(&mut connection).unwrap();
        let fill = "
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
            INSERT INTO commits SELECT 'demo', i, 'm', 1, 'r', 'ann' FROM n;
            INSERT INTO commits VALUES ('demo', 1001, 'm', 8640000000000000, 'r', 'ann');
            INSERT INTO tenants VALUES ('demo', 1001, 0);
            INSERT INTO entities SELECT 'demo', 'notes', 'n' || seq, seq, 1, 'r', 1, '{}', '{}', '[\"tenant\"]', NULL
              FROM commits WHERE seq <= 1000;
            INSERT INTO members SELECT 'demo', 'tenant', 'notes', id, rev, 0 FROM entities;
            INSERT INTO members SELECT 'demo', 'other', 'notes', id, rev, 1 FROM entities;
            INSERT INTO entities SELECT 'demo', '$conflicts', 'c' || seq, seq, 1, 'r', 0, '{\"state\":\"closed\"}',
              '{}', '[\"user\"]', NULL FROM commits WHERE seq <= 1000;
            INSERT INTO members SELECT 'demo', 'user', '$conflicts', id, rev, 0 FROM entities WHERE deleted = 0;
            INSERT INTO replicas VALUES ('demo', 'ann', 'r', 501, 0, 1);
            INSERT INTO verdicts SELECT 'demo', 'ann', 'r', seq, 0, NULL, '', 1 FROM commits WHERE seq <= 1000;
            INSERT INTO verdicts VALUES ('demo', 'ann', '~r', 900, 0, 1, '', 1);";
        connection.execute_batch(fill).unwrap();
        connection
    }

    fn count(connection: &Connection, what: &str) -> i64 {
        connection.query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_pass_goes_in_slices_of_bounded_size_and_leaves_nothing() {
        let mut connection = long_ago();
        let mut pass = Pass::begin(&connection, NOW_MS, Duration::from_millis(HORIZON_MS)).unwrap();
        let (mut slices, mut told) = (0, 0);
        loop {
            let before = connection.total_changes();
            let slice = pass.go_on(&mut connection).unwrap();
            // Of each kind, and a member of each tombstone and of each conflict.
            assert!(connection.total_changes() - before <= 6 * SLICE_ROWS as u64 + 3);
            slices += 1;
            told += i64::from(slice.news.is_some());
            if slice.is_last {
                break;
            }
        }
        assert!(slices >= 2 * ROWS / SLICE_ROWS, "{slices} slices");
        assert_eq!(told, ROWS / SLICE_ROWS + 1, "those who listen hear of each commit");
        assert_eq!(count(&connection, "entities WHERE collection = 'notes'"), 0);
        assert_eq!(count(&connection, "members WHERE collection = 'notes'"), 0);
        assert_eq!(count(&connection, "entities WHERE deleted = 0"), 0);
        let moved = "members m JOIN entities e USING (tenant, collection, id) WHERE m.seq = e.rev AND m.seq > 1001";
        assert_eq!(count(&connection, moved), ROWS);
        assert_eq!(count(&connection, "commits WHERE seq <= 1000"), 0);
        assert_eq!(count(&connection, "tenants WHERE horizon = 1000"), 1);
        assert_eq!(count(&connection, "verdicts"), 500, "those above the floor stay");
        assert_eq!(count(&connection, "verdicts WHERE key < 501"), 0);
    }

    #[test]
    fn what_a_pass_left_is_found_by_the_next() {
        let mut connection = long_ago();
        for _ in 0..100 {
            let mut pass = Pass::begin(&connection, NOW_MS, Duration::from_millis(HORIZON_MS)).unwrap();
            pass.go_on(&mut connection).unwrap();
        }
        assert_eq!(count(&connection, "entities WHERE collection = 'notes'"), 0);
        assert_eq!(count(&connection, "members WHERE collection = 'notes'"), 0);
        assert_eq!(count(&connection, "commits WHERE seq <= 1000"), 0);
    }
}
