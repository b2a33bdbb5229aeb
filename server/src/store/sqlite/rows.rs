//! What the authority asks of a store, inside one transaction of one tenant and for one push.

use rusqlite::{Connection, OptionalExtension, params};
use serde::de::DeserializeOwned;
use tidewire_core::authority::{Rows, Stored};
use tidewire_core::ids::{CollectionName, EntityId, Group, MutationId, Owner, ReplicaId, Seq};
use tidewire_core::json;
use tidewire_core::protocol::message::Verdict;

use super::random_text;
use super::versions::{Replaced, Version};
use crate::store::StoreError;

/// The rows of one tenant as one replica's push sees them. The connection is inside a transaction.
pub struct SqliteRows<'a> {
    connection: &'a Connection,
    user: &'a Owner,
    replica: &'a ReplicaId,
    now_ms: u64,
    /// The entity that was read last; kept for somebody who listens.
    read: Option<(CollectionName, EntityId, Seq, String)>,
    replaced: Option<Vec<Replaced>>,
}

impl<'a> SqliteRows<'a> {
    /// Rows for one push. The caller has begun a transaction and commits it.
    pub fn new(connection: &'a Connection, user: &'a Owner, replica: &'a ReplicaId, now_ms: u64) -> Self {
        Self { connection, user, replica, now_ms, read: None, replaced: None }
    }

    /// The same, which keeps what entities were before this push.
    pub(super) fn keeping_versions(self) -> Self {
        Self { replaced: Some(Vec::new()), ..self }
    }

    /// What the entities were that this push has replaced.
    pub(super) fn replaced(self) -> Vec<Replaced> {
        self.replaced.unwrap_or_default()
    }

    fn note(&mut self, collection: &CollectionName, id: &EntityId, stored: &Stored, groups: Vec<Group>) {
        // A conflict of the entity may be stored before it.
        let is_it = |(c, key, ..): &mut (CollectionName, EntityId, Seq, String)| (&*c, &*key) == (collection, id);
        let (Some(replaced), Some((c, key, was, doc))) = (&mut self.replaced, self.read.take_if(is_it)) else { return };
        if was != stored.rev && !stored.deleted {
            replaced.push(Replaced { key: (c, key), rev: stored.rev, version: Version::new(was, doc, groups) });
        }
    }

    fn groups_of(&self, collection: &CollectionName, id: &EntityId) -> Result<Vec<Group>, StoreError> {
        let text: Option<String> = self
            .connection
            .prepare_cached("SELECT groups FROM entities WHERE tenant = ?1 AND collection = ?2 AND id = ?3")?
            .query_row(params![self.user.tenant, collection.as_str(), id.as_str()], |row| row.get(0))
            .optional()?;
        text.map_or(Ok(Vec::new()), |text| from_json(&text))
    }

    fn set_member(
        &self,
        group: &Group,
        collection: &CollectionName,
        id: &EntityId,
        seq: Seq,
        left: bool,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO members (tenant, grp, collection, id, seq, left) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE SET seq = excluded.seq, left = excluded.left",
            )?
            .execute(params![self.user.tenant, group.as_str(), collection.as_str(), id.as_str(), int(seq), left])?;
        Ok(())
    }
}

impl Rows for SqliteRows<'_> {
    type Error = StoreError;

    fn entity(&mut self, collection: &CollectionName, id: &EntityId) -> Result<Option<Stored>, StoreError> {
        let row = self
            .connection
            .prepare_cached(
                "SELECT rev, at, by, deleted, doc, paths FROM entities
                 WHERE tenant = ?1 AND collection = ?2 AND id = ?3",
            )?
            .query_row(params![self.user.tenant, collection.as_str(), id.as_str()], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, i64>(1)?,
                    row.get::<_, String>(2)?,
                    row.get::<_, bool>(3)?,
                    row.get::<_, String>(4)?,
                    row.get::<_, String>(5)?,
                ))
            })
            .optional()?;
        let Some((rev, at, by, deleted, doc, paths)) = row else { return Ok(None) };
        if self.replaced.is_some() && !collection.is_conflicts() {
            let live = (!deleted).then(|| (collection.clone(), id.clone(), rev.cast_unsigned(), doc.clone()));
            self.read = live;
        }
        Ok(Some(Stored {
            rev: rev.cast_unsigned(),
            at: at.cast_unsigned(),
            by: ReplicaId::parse(&by).map_err(|e| StoreError::Unreadable(e.to_string()))?,
            deleted,
            doc: from_json(&doc)?,
            paths: from_json(&paths)?,
        }))
    }

    fn put(
        &mut self,
        collection: &CollectionName,
        id: &EntityId,
        stored: &Stored,
        groups: &[Group],
    ) -> Result<(), StoreError> {
        let held = self.groups_of(collection, id)?;
        for left in held.iter().filter(|group| !groups.contains(group)) {
            self.set_member(left, collection, id, stored.rev, true)?;
        }
        self.note(collection, id, stored, held);
        for group in groups {
            self.set_member(group, collection, id, stored.rev, false)?;
        }
        self.connection
            .prepare_cached(
                "INSERT INTO entities (tenant, collection, id, rev, at, by, deleted, doc, paths, groups)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT DO UPDATE SET rev = excluded.rev, at = excluded.at, by = excluded.by,
                   deleted = excluded.deleted, doc = excluded.doc, paths = excluded.paths, groups = excluded.groups",
            )?
            .execute(params![
                self.user.tenant,
                collection.as_str(),
                id.as_str(),
                int(stored.rev),
                int(stored.at),
                stored.by.as_str(),
                stored.deleted,
                document(&stored.doc)?,
                json::to_text(&stored.paths),
                json::to_text(&groups),
            ])?;
        Ok(())
    }

    fn next_seq(&mut self) -> Result<Seq, StoreError> {
        let by = (self.replica.as_str(), Some(self.user.subject.as_str()));
        begin_commit(self.connection, &self.user.tenant, by, self.now_ms)
    }

    fn author(&mut self, seq: Seq) -> Result<Option<String>, StoreError> {
        let subject: Option<Option<String>> = self
            .connection
            .prepare_cached("SELECT subject FROM commits WHERE tenant = ?1 AND seq = ?2")?
            .query_row(params![self.user.tenant, int(seq)], |row| row.get(0))
            .optional()?;
        Ok(subject.flatten())
    }

    fn beginning_with(
        &mut self,
        collection: &CollectionName,
        prefix: &str,
    ) -> Result<Vec<(EntityId, Stored)>, StoreError> {
        let ids: Vec<String> = self
            .connection
            .prepare_cached(
                "SELECT id FROM entities WHERE tenant = ?1 AND collection = ?2 AND id >= ?3 AND id < ?4
                   AND deleted = 0 ORDER BY id",
            )?
            .query_map(params![self.user.tenant, collection.as_str(), prefix, behind(prefix)], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut out = Vec::with_capacity(ids.len());
        for id in ids {
            let id = EntityId::parse(&id).map_err(|e| StoreError::Unreadable(e.to_string()))?;
            if let Some(stored) = self.entity(collection, &id)? {
                out.push((id, stored));
            }
        }
        Ok(out)
    }

    fn seq(&mut self) -> Result<Seq, StoreError> {
        let seq: Option<i64> = self
            .connection
            .prepare_cached("SELECT seq FROM tenants WHERE tenant = ?1")?
            .query_row([&self.user.tenant], |row| row.get(0))
            .optional()?;
        Ok(seq.unwrap_or(0).cast_unsigned())
    }

    fn horizon(&mut self) -> Result<Seq, StoreError> {
        let horizon: Option<i64> = self
            .connection
            .prepare_cached("SELECT horizon FROM tenants WHERE tenant = ?1")?
            .query_row([&self.user.tenant], |row| row.get(0))
            .optional()?;
        Ok(horizon.unwrap_or(0).cast_unsigned())
    }

    fn verdict(&mut self, n: MutationId) -> Result<Option<(Option<u64>, Verdict)>, StoreError> {
        let row: Option<(Option<i64>, String)> = self
            .connection
            .prepare_cached(
                "SELECT digest, verdict FROM verdicts
                 WHERE tenant = ?1 AND subject = ?2 AND replica = ?3 AND key = ?4 AND idx = ?5",
            )?
            .query_row(params![self.user.tenant, self.user.subject, self.replica.as_str(), int(n.0), n.1], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let Some((digest, verdict)) = row else { return Ok(None) };
        Ok(Some((digest.map(i64::cast_unsigned), from_json(&verdict)?)))
    }

    fn put_verdict(&mut self, n: MutationId, digest: Option<u64>, verdict: &Verdict) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO verdicts (tenant, subject, replica, key, idx, digest, verdict, at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT DO UPDATE SET digest = excluded.digest, verdict = excluded.verdict, at = excluded.at",
            )?
            .execute(params![
                self.user.tenant,
                self.user.subject,
                self.replica.as_str(),
                int(n.0),
                n.1,
                digest.map(u64::cast_signed),
                json::to_text(verdict),
                int(self.now_ms),
            ])?;
        Ok(())
    }

    fn floor(&mut self) -> Result<MutationId, StoreError> {
        let row: Option<(i64, u32)> = self
            .connection
            .prepare_cached(
                "SELECT floor_key, floor_index FROM replicas WHERE tenant = ?1 AND subject = ?2 AND replica = ?3",
            )?
            .query_row(params![self.user.tenant, self.user.subject, self.replica.as_str()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        Ok(row.map_or_else(MutationId::default, |(key, index)| MutationId(key.cast_unsigned(), index)))
    }

    fn user_of(&mut self, replica: &ReplicaId) -> Result<Option<String>, StoreError> {
        let mut users: Vec<String> = self
            .connection
            .prepare_cached("SELECT subject FROM replicas WHERE tenant = ?1 AND replica = ?2 LIMIT 2")?
            .query_map(params![self.user.tenant, replica.as_str()], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let user = users.pop();
        Ok(user.filter(|_| users.is_empty()))
    }

    fn raise_floor(&mut self, floor: MutationId) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO replicas (tenant, subject, replica, floor_key, floor_index, seen)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE SET floor_key = excluded.floor_key, floor_index = excluded.floor_index,
                   seen = excluded.seen
                 WHERE (excluded.floor_key, excluded.floor_index) > (floor_key, floor_index)",
            )?
            .execute(params![
                self.user.tenant,
                self.user.subject,
                self.replica.as_str(),
                int(floor.0),
                floor.1,
                int(self.now_ms),
            ])?;
        Ok(())
    }

    fn atomically(&mut self, work: &mut dyn FnMut(&mut Self) -> Result<bool, StoreError>) -> Result<bool, StoreError> {
        let connection = self.connection;
        super::savepoint(connection, || {
            let keep = work(self)?;
            Ok((keep, keep))
        })
    }
}

/// The next `seq` of a tenant, made by a replica of a user (nobody: by the server itself).
pub(super) fn begin_commit(
    connection: &Connection,
    tenant: &str,
    (replica, subject): (&str, Option<&str>),
    now_ms: u64,
) -> Result<Seq, StoreError> {
    let seq: i64 = connection
        .prepare_cached(
            "INSERT INTO tenants (tenant, seq) VALUES (?1, 1)
             ON CONFLICT DO UPDATE SET seq = seq + 1 RETURNING seq",
        )?
        .query_row([tenant], |row| row.get(0))?;
    connection
        .prepare_cached("INSERT INTO commits (tenant, seq, mark, at, by, subject) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![tenant, seq, random_text(1), int(now_ms), replica, subject])?;
    Ok(seq.cast_unsigned())
}

/// The first text behind all that begin so.
pub(super) fn behind(prefix: &str) -> String {
    let mut text = prefix.to_owned();
    let last = text.pop().and_then(|last| char::from_u32(last as u32 + 1));
    text.push(last.unwrap_or(char::MAX));
    text
}

/// A number as SQLite has it. Those that come from a client are checked at the door.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Stored JSON.
pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::Unreadable(e.to_string()))
}

/// A document in its canonical form, as it travels.
fn document(doc: &json::Value) -> Result<String, StoreError> {
    String::from_utf8(json::write(doc)).map_err(|e| StoreError::Unreadable(e.to_string()))
}
