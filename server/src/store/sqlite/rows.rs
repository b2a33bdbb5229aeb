//! What the authority asks of a store, inside one transaction of one tenant and for one push.

use std::cell::Cell;

use rusqlite::{Connection, OptionalExtension, params};
use tidewire_core::authority::relations::{NaturalKey, Relations};
use tidewire_core::authority::{Rows, Stored};
use tidewire_core::ids::{CollectionName, EntityId, Group, MutationId, Owner, ReplicaId, Seq};
use tidewire_core::json;
use tidewire_core::model::path::Path;
use tidewire_core::protocol::message::Verdict;

use super::columns::paths_text;
use super::commit::begin_commit;
use super::verdicts::{self, Verdicts};
use super::versions::{Replaced, Version};
use super::{grants, lookups};
use crate::policy::Memberships;
use crate::store::StoreError;

use super::columns::replica;
pub(super) use super::columns::{behind, from_json, int};

/// The rows of one tenant as one replica's push sees them. The connection is inside a transaction.
pub struct SqliteRows<'a> {
    connection: &'a Connection,
    user: &'a Owner,
    replica: &'a ReplicaId,
    now_ms: u64,
    relations: &'a Relations,
    /// Which entities are memberships, and whom to tell that one was written.
    memberships: Option<(&'a Memberships, &'a Cell<bool>)>,
    /// The entity that was read last: what is put is read before.
    read: Option<Read>,
    replaced: Option<Vec<Replaced>>,
    verdicts: Verdicts<'a>,
    /// Whether the tenant has conflicts, once somebody asked.
    conflicts: Option<bool>,
    /// The tenant's newest `seq`, if this push made it.
    seq: Option<Seq>,
}

/// An entity before a push.
struct Read {
    key: (CollectionName, EntityId),
    /// As stored; empty: there is none.
    groups: String,
    /// The document that it had, if somebody listens.
    live: Option<(Seq, String)>,
}

impl<'a> SqliteRows<'a> {
    /// Rows for one push. The caller has begun a transaction and commits it.
    pub fn new(connection: &'a Connection, user: &'a Owner, replica: &'a ReplicaId, now_ms: u64) -> Self {
        Self {
            connection,
            user,
            replica,
            now_ms,
            relations: Relations::none(),
            memberships: None,
            read: None,
            replaced: None,
            verdicts: Verdicts::new(connection, user),
            conflicts: None,
            seq: None,
        }
    }

    /// The same, of collections that hang together like this.
    #[must_use]
    pub fn tied(self, relations: &'a Relations) -> Self {
        Self { relations, ..self }
    }

    /// The same, in which some entities are memberships; `written` is set where one of them is.
    #[must_use]
    pub fn granting(self, memberships: &'a Memberships, written: &'a Cell<bool>) -> Self {
        Self { memberships: Some((memberships, written)), ..self }
    }

    /// The same, which keeps what entities were before this push.
    pub(super) fn keeping_versions(self) -> Self {
        Self { replaced: Some(Vec::new()), ..self }
    }

    /// What the entities were that this push has replaced.
    pub(super) fn replaced(self) -> Vec<Replaced> {
        self.replaced.unwrap_or_default()
    }

    /// Keeps what stood there before, for those who listen.
    fn note(&mut self, before: Read, stored: &Stored, groups: Vec<Group>) {
        let (Some(replaced), Some((was, doc))) = (&mut self.replaced, before.live) else { return };
        if was != stored.rev && !stored.deleted {
            replaced.push(Replaced { key: before.key, rev: stored.rev, version: Version::new(was, doc, groups) });
        }
    }

    /// What stood there before, as far as it is to be compared with what comes.
    fn before(&mut self, collection: &CollectionName, id: &EntityId) -> Result<Read, StoreError> {
        if let Some(read) = self.read.take_if(|read| (&read.key.0, &read.key.1) == (collection, id)) {
            return Ok(read);
        }
        let groups: Option<String> = self
            .connection
            .prepare_cached("SELECT groups FROM entities WHERE tenant = ?1 AND collection = ?2 AND id = ?3")?
            .query_row(params![self.user.tenant, collection.as_str(), id.as_str()], |row| row.get(0))
            .optional()?;
        Ok(Read { key: (collection.clone(), id.clone()), groups: groups.unwrap_or_default(), live: None })
    }

    fn has_conflicts(&mut self) -> Result<bool, StoreError> {
        if let Some(known) = self.conflicts {
            return Ok(known);
        }
        let found = self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM entities
                   WHERE tenant = ?1 AND collection = '$conflicts' AND deleted = 0)",
            )?
            .query_row([&self.user.tenant], |row| row.get(0))?;
        Ok(*self.conflicts.insert(found))
    }

    fn found_by(
        &mut self,
        collection: &CollectionName,
        kind: &str,
        value: &str,
    ) -> Result<Vec<(EntityId, Stored)>, StoreError> {
        let mut out = Vec::new();
        for id in lookups::find(self.connection, (&self.user.tenant, collection), kind, value)? {
            if let Some(stored) = self.entity(collection, &id)? {
                out.push((id, stored));
            }
        }
        Ok(out)
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
                "SELECT rev, at, by, deleted, doc, paths, groups, also FROM entities
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
                    row.get::<_, String>(6)?,
                    row.get::<_, Option<String>>(7)?,
                ))
            })
            .optional()?;
        let live = match &row {
            Some((rev, .., false, doc, _, _, _)) if self.replaced.is_some() => Some((rev.cast_unsigned(), doc.clone())),
            _ => None,
        };
        let groups = row.as_ref().map(|row| row.6.clone()).unwrap_or_default();
        // A conflict of the entity may be read and stored between, and ids be looked up.
        if !collection.is_reserved() {
            self.read = Some(Read { key: (collection.clone(), id.clone()), groups, live });
        }
        let Some((rev, at, by, deleted, doc, paths, _, also)) = row else { return Ok(None) };
        Ok(Some(Stored {
            rev: rev.cast_unsigned(),
            at: at.cast_unsigned(),
            by: replica(&by)?,
            deleted,
            also: also.as_deref().map(replica).transpose()?,
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
        let before = self.before(collection, id)?;
        let held: Vec<Group> = if before.groups.is_empty() { Vec::new() } else { from_json(&before.groups)? };
        for left in held.iter().filter(|group| !groups.contains(group)) {
            self.set_member(left, collection, id, stored.rev, true)?;
        }
        self.note(before, stored, held);
        if collection.is_conflicts() {
            self.conflicts = Some(true);
        }
        for group in groups {
            self.set_member(group, collection, id, stored.rev, false)?;
        }
        self.connection
            .prepare_cached(
                "INSERT INTO entities (tenant, collection, id, rev, at, by, deleted, doc, paths, groups, also)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
                 ON CONFLICT DO UPDATE SET rev = excluded.rev, at = excluded.at, by = excluded.by,
                   deleted = excluded.deleted, doc = excluded.doc, paths = excluded.paths, groups = excluded.groups,
                   also = excluded.also",
            )?
            .execute(params![
                self.user.tenant,
                collection.as_str(),
                id.as_str(),
                int(stored.rev),
                int(stored.at),
                stored.by.as_str(),
                stored.deleted,
                json::write_text(&stored.doc),
                paths_text(&stored.paths),
                json::to_text(&groups),
                stored.also.as_ref().map(ReplicaId::as_str),
            ])?;
        if lookups::has(self.relations, collection) {
            let live = Some(&stored.doc).filter(|_| !stored.deleted);
            lookups::put(self.connection, self.relations, (&self.user.tenant, collection, id), live)?;
        }
        if let Some((membership, written)) =
            self.memberships.and_then(|(all, written)| Some((all.get(collection)?, written)))
        {
            let live = Some(&stored.doc).filter(|_| !stored.deleted);
            grants::put(self.connection, membership, (&self.user.tenant, collection, id), live)?;
            written.set(true);
        }
        Ok(())
    }

    fn referring(
        &mut self,
        collection: &CollectionName,
        path: &Path,
        id: &EntityId,
    ) -> Result<Vec<(EntityId, Stored)>, StoreError> {
        self.found_by(collection, &lookups::kind_of_ref(path), id.as_str())
    }

    fn known_by(
        &mut self,
        collection: &CollectionName,
        key: &NaturalKey,
        value: &str,
    ) -> Result<Vec<(EntityId, Stored)>, StoreError> {
        self.found_by(collection, &lookups::kind_of_key(key), value)
    }

    fn next_seq(&mut self) -> Result<Seq, StoreError> {
        let by = (self.replica.as_str(), Some(self.user.subject.as_str()));
        let seq = begin_commit(self.connection, &self.user.tenant, self.seq, by, self.now_ms)?;
        self.seq = Some(seq);
        Ok(seq)
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
        // Asked for each edit; most tenants have none.
        if collection.is_conflicts() && !self.has_conflicts()? {
            return Ok(Vec::new());
        }
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

    fn verdict(&mut self, replica: &str, n: MutationId) -> Result<Option<(Option<u64>, Verdict)>, StoreError> {
        self.verdicts.get(replica, n)
    }

    fn put_verdict(
        &mut self,
        replica: &str,
        n: MutationId,
        digest: Option<u64>,
        verdict: &Verdict,
    ) -> Result<(), StoreError> {
        self.verdicts.put((replica, n), digest, verdict, self.now_ms)
    }

    fn floor(&mut self) -> Result<MutationId, StoreError> {
        Ok(verdicts::floor(self.connection, self.user, self.replica)?.unwrap_or_default())
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
            if !keep {
                (self.read, self.seq) = (None, None);
                if let Some((_, written)) = self.memberships {
                    written.set(true);
                }
            }
            Ok((keep, keep))
        })
    }
}
