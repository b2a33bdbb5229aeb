//! What was decided of a user's mutations, as one push asks for it.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use tidewire_core::ids::{MutationId, Owner};
use tidewire_core::json;
use tidewire_core::protocol::message::Verdict;

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
