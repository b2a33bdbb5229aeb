//! What was decided of a user's mutations, as one push asks for it.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use tidewire_core::ids::{MutationId, Owner, ReplicaId};
use tidewire_core::json;
use tidewire_core::limits::APPLIED_MAX;
use tidewire_core::protocol::message::{Applied, Verdict};

use super::columns::{from_json, int};
use crate::store::StoreError;

/// The verdicts of one user.
pub(super) struct Verdicts<'a> {
    connection: &'a Connection,
    user: &'a Owner,
    /// The newest decided number of each replica that somebody asked about: above it nothing is known.
    newest: BTreeMap<String, MutationId>,
}

impl<'a> Verdicts<'a> {
    pub(super) fn new(connection: &'a Connection, user: &'a Owner) -> Self {
        Self { connection, user, newest: BTreeMap::new() }
    }

    /// One of them, with the digest of what it is about.
    pub(super) fn get(&mut self, replica: &str, n: MutationId) -> Result<Option<(Option<u64>, Verdict)>, StoreError> {
        if n > self.newest(replica)? {
            return Ok(None);
        }
        let row: Option<(Option<i64>, String)> = self
            .connection
            .prepare_cached(
                "SELECT digest, verdict FROM verdicts
                 WHERE tenant = ?1 AND subject = ?2 AND replica = ?3 AND key = ?4 AND idx = ?5",
            )?
            .query_row(params![self.user.tenant, self.user.subject, replica, int(n.0), n.1], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let Some((digest, verdict)) = row else { return Ok(None) };
        Ok(Some((digest.map(i64::cast_unsigned), from_json(&verdict)?)))
    }

    pub(super) fn put(
        &mut self,
        (replica, n): (&str, MutationId),
        digest: Option<u64>,
        verdict: &Verdict,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        if let Some(newest) = self.newest.get_mut(replica) {
            *newest = n.max(*newest);
        }
        self.connection
            .prepare_cached(
                "INSERT INTO verdicts (tenant, subject, replica, key, idx, digest, verdict, at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT DO UPDATE SET digest = excluded.digest, verdict = excluded.verdict, at = excluded.at",
            )?
            .execute(params![
                self.user.tenant,
                self.user.subject,
                replica,
                int(n.0),
                n.1,
                digest.map(u64::cast_signed),
                json::to_text(verdict),
                int(now_ms),
            ])?;
        Ok(())
    }

    /// Devices number their edits upwards, so most numbers of a push are above this.
    fn newest(&mut self, replica: &str) -> Result<MutationId, StoreError> {
        if let Some(newest) = self.newest.get(replica) {
            return Ok(*newest);
        }
        let row: Option<(i64, u32)> = self
            .connection
            .prepare_cached(
                "SELECT key, idx FROM verdicts WHERE tenant = ?1 AND subject = ?2 AND replica = ?3
                 ORDER BY key DESC, idx DESC LIMIT 1",
            )?
            .query_row(params![self.user.tenant, self.user.subject, replica], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let newest = row.map_or_else(MutationId::default, |(key, index)| MutationId(key.cast_unsigned(), index));
        self.newest.insert(replica.to_owned(), newest);
        Ok(newest)
    }
}

/// The replica's floor as last raised; nothing where it never pushed.
pub(super) fn floor(
    connection: &Connection,
    user: &Owner,
    replica: &ReplicaId,
) -> Result<Option<MutationId>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT floor_key, floor_index FROM replicas WHERE tenant = ?1 AND subject = ?2 AND replica = ?3",
        )?
        .query_row(params![user.tenant, user.subject, replica.as_str()], |row| {
            Ok(MutationId(row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?))
        })
        .optional()?)
}

/// What was applied of a replica's numbers from `floor` on, newest first.
pub(super) fn applied(
    connection: &Connection,
    user: &Owner,
    replica: &ReplicaId,
    floor: MutationId,
) -> Result<Vec<Applied>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT key, idx, digest, verdict FROM verdicts
         WHERE tenant = ?1 AND subject = ?2 AND replica = ?3 AND (key, idx) >= (?4, ?5)
         ORDER BY key DESC, idx DESC LIMIT ?6",
    )?;
    let limit = i64::try_from(APPLIED_MAX).unwrap_or(i64::MAX);
    let of = params![user.tenant, user.subject, replica.as_str(), int(floor.0), floor.1, limit];
    let mut rows = statement.query(of)?;
    let mut applied = Vec::new();
    while let Some(row) = rows.next()? {
        let n = MutationId(row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?);
        let digest: Option<i64> = row.get(2)?;
        let verdict: Verdict = from_json(&row.get::<_, String>(3)?)?;
        applied.extend(Applied::of(n, digest.map(i64::cast_unsigned), &verdict));
    }
    Ok(applied)
}
