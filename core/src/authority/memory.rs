//! A store in memory and a policy of two groups: for tests and for the simulator. The rows of a real server are its
//! own.

mod declared;
mod pull;
pub mod server;

use std::collections::BTreeMap;
use std::convert::Infallible;

use crate::json::Value;

use crate::authority::identity::key_of;
use crate::authority::relations::NaturalKey;
use crate::authority::{Policy, Rows, Stored, bring_conflict, bring_stored};
use crate::error::CoreError;
use crate::ids::{CollectionName, EntityId, Group, MutationId, Owner, ReplicaId, Rev, Seq};
use crate::limits::APPLIED_MAX;
use crate::model::document;
use crate::model::migration::Migrations;
use crate::model::path::Path;
use crate::model::schema::Settings;
use crate::planted::Bug;
use crate::protocol::message::{Applied, Verdict};

pub use declared::DeclaredPolicy;

/// An entity's name.
pub type EntityKey = (CollectionName, EntityId);
/// A decided number: of whom, by which replica (or its claims).
pub type VerdictKey = (Owner, String, MutationId);

/// An entity and the groups that hold it.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryRow {
    /// The entity or its tombstone.
    pub stored: Stored,
    /// Who holds it.
    pub groups: Vec<Group>,
}

/// Everything that one tenant's database holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MemoryStore {
    /// The newest `seq`.
    pub seq: Seq,
    /// What is past the horizon.
    pub horizon: Seq,
    /// Entities and tombstones.
    pub entities: BTreeMap<EntityKey, MemoryRow>,
    /// Who made each transaction.
    pub authors: BTreeMap<Seq, String>,
    /// When an entity left a group (rule 26).
    pub left: BTreeMap<(Group, CollectionName, EntityId), Seq>,
    /// What was decided, with the content's digest.
    pub verdicts: BTreeMap<VerdictKey, (Option<u64>, Verdict)>,
    /// Each replica's floor.
    pub floors: BTreeMap<(Owner, ReplicaId), MutationId>,
}

impl MemoryStore {
    /// What was applied of a replica's numbers from `floor` on, at revisions above `rev`, newest first.
    pub fn applied(&self, owner: &Owner, replica: &ReplicaId, floor: MutationId, rev: Rev) -> Vec<Applied> {
        let key = |n| (owner.clone(), replica.as_str().to_owned(), n);
        let known = self.verdicts.range(key(floor)..=key(MutationId(u64::MAX, u32::MAX))).rev().take(APPLIED_MAX);
        let told = known.filter_map(|((_, _, n), (digest, verdict))| Applied::of(*n, *digest, verdict));
        told.filter(|applied| applied.rev > rev).collect()
    }

    /// What a frame tells of it: what the replica has not said yet that it knows.
    pub fn applied_since(&self, owner: &Owner, replica: &ReplicaId, rev: Rev) -> Vec<Applied> {
        let floor = self.floors.get(&(owner.clone(), replica.clone())).copied().unwrap_or_default();
        self.applied(owner, replica, floor, rev)
    }

    /// The id that an id stands for.
    pub fn resolve(&self, collection: &CollectionName, id: EntityId) -> EntityId {
        let alias = self.entities.get(&(collection.aliases(), id.clone()));
        alias.and_then(|row| EntityId::read(row.stored.doc.get("to")?).ok()).unwrap_or(id)
    }

    /// The store as one push sees it.
    pub fn rows<'a>(&'a mut self, owner: &Owner, replica: &ReplicaId) -> MemoryRows<'a> {
        MemoryRows { store: self, owner: owner.clone(), replica: replica.clone(), undo: Vec::new() }
    }

    /// Brings everything to another version of the schema, as one commit: every device is told. What cannot be brought
    /// there, because two of its fields would become one, stays as it is.
    pub fn migrate(&mut self, migrations: &Migrations, from: u64) {
        self.seq += 1;
        for ((c, _), row) in &mut self.entities {
            let is_brought = if c.is_conflicts() {
                bring_conflict(migrations, from, &mut row.stored.doc).is_ok()
            } else {
                let brought = bring_stored(migrations, c, from, row.stored.clone());
                brought.map(|stored| row.stored = stored).is_ok()
            };
            // Who had seen a deletion has seen it.
            if is_brought && !row.stored.deleted {
                row.stored.rev = self.seq;
            }
        }
    }

    /// The live entities of a collection, from this id on, in the order of their ids.
    fn live<'a>(&'a self, c: &'a CollectionName, from: &str) -> impl Iterator<Item = (&'a EntityId, &'a MemoryRow)> {
        self.all(c, from).filter(|(_, row)| !row.stored.deleted)
    }

    /// ... and its tombstones.
    fn all<'a>(&'a self, c: &'a CollectionName, from: &str) -> impl Iterator<Item = (&'a EntityId, &'a MemoryRow)> {
        // No id is less than a space.
        let first = EntityId::parse(from).or_else(|_| EntityId::parse(" ")).ok();
        let range = first.map(|first| self.entities.range((c.clone(), first)..));
        let of_it = range.into_iter().flatten().take_while(move |((of, _), _)| of == c);
        of_it.map(|((_, id), row)| (id, row))
    }
}

/// [`Rows`] over a [`MemoryStore`], for one user's replica.
#[derive(Debug)]
pub struct MemoryRows<'a> {
    store: &'a mut MemoryStore,
    owner: Owner,
    replica: ReplicaId,
    undo: Vec<Undo>,
}

/// What stood there before a write.
#[derive(Debug)]
enum Undo {
    Seq(Seq),
    Entity(EntityKey, Option<Box<MemoryRow>>),
    Left((Group, CollectionName, EntityId), Option<Seq>),
    Verdict(VerdictKey, Option<Box<(Option<u64>, Verdict)>>),
    Floor(Option<MutationId>),
}

fn restore<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, before: Option<V>) {
    match before {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}

impl MemoryRows<'_> {
    fn take_back(&mut self, to: usize) {
        while self.undo.len() > to {
            match self.undo.pop() {
                None => return,
                Some(Undo::Seq(seq)) => {
                    self.store.authors.remove(&self.store.seq);
                    self.store.seq = seq;
                }
                Some(Undo::Entity(key, row)) => restore(&mut self.store.entities, key, row.map(|row| *row)),
                Some(Undo::Left(key, seq)) => restore(&mut self.store.left, key, seq),
                Some(Undo::Verdict(key, verdict)) => {
                    restore(&mut self.store.verdicts, key, verdict.map(|verdict| *verdict))
                }
                Some(Undo::Floor(floor)) => {
                    restore(&mut self.store.floors, (self.owner.clone(), self.replica.clone()), floor)
                }
            }
        }
    }

    fn verdict_key(&self, replica: &str, n: MutationId) -> VerdictKey {
        (self.owner.clone(), replica.to_owned(), n)
    }
}

impl Rows for MemoryRows<'_> {
    type Error = Infallible;

    fn entity(&mut self, collection: &CollectionName, id: &EntityId) -> Result<Option<Stored>, Infallible> {
        Ok(self.store.entities.get(&(collection.clone(), id.clone())).map(|row| row.stored.clone()))
    }

    fn put(
        &mut self,
        collection: &CollectionName,
        id: &EntityId,
        stored: &Stored,
        groups: &[Group],
    ) -> Result<(), Infallible> {
        let key = (collection.clone(), id.clone());
        let row = MemoryRow { stored: stored.clone(), groups: groups.to_vec() };
        let before = self.store.entities.insert(key.clone(), row);
        let left = before.iter().flat_map(|row| &row.groups).filter(|group| !groups.contains(group));
        for group in left.filter(|_| !Bug::NoLeaveMarker.is_planted()) {
            let key = (group.clone(), collection.clone(), id.clone());
            let left = self.store.left.insert(key.clone(), stored.rev);
            self.undo.push(Undo::Left(key, left));
        }
        self.undo.push(Undo::Entity(key, before.map(Box::new)));
        Ok(())
    }

    fn next_seq(&mut self) -> Result<Seq, Infallible> {
        self.undo.push(Undo::Seq(self.store.seq));
        self.store.seq += 1;
        self.store.authors.insert(self.store.seq, self.owner.subject.clone());
        Ok(self.store.seq)
    }

    fn beginning_with(
        &mut self,
        collection: &CollectionName,
        prefix: &str,
    ) -> Result<Vec<(EntityId, Stored)>, Infallible> {
        let all = self.store.live(collection, prefix).take_while(|(id, _)| id.as_str().starts_with(prefix));
        Ok(all.map(|(id, row)| (id.clone(), row.stored.clone())).collect())
    }

    fn referring(
        &mut self,
        collection: &CollectionName,
        path: &Path,
        to: &EntityId,
    ) -> Result<Vec<(EntityId, Stored)>, Infallible> {
        let refers =
            |row: &MemoryRow| document::get(&row.stored.doc, path).and_then(Value::as_str) == Some(to.as_str());
        let all = self.store.live(collection, "").filter(|(_, row)| refers(row));
        Ok(all.map(|(id, row)| (id.clone(), row.stored.clone())).collect())
    }

    fn known_by(
        &mut self,
        collection: &CollectionName,
        key: &NaturalKey,
        value: &str,
    ) -> Result<Vec<(EntityId, Stored)>, Infallible> {
        let has = |row: &MemoryRow| key_of(key, &row.stored.doc).as_deref() == Some(value);
        let dead = Bug::TombstoneHoldsKey.is_planted();
        let all = self.store.all(collection, "").filter(|(_, row)| (dead || !row.stored.deleted) && has(row));
        Ok(all.map(|(id, row)| (id.clone(), row.stored.clone())).collect())
    }

    fn author(&mut self, seq: Seq) -> Result<Option<String>, Infallible> {
        Ok(self.store.authors.get(&seq).cloned())
    }

    fn seq(&mut self) -> Result<Seq, Infallible> {
        Ok(self.store.seq)
    }

    fn horizon(&mut self) -> Result<Seq, Infallible> {
        Ok(self.store.horizon)
    }

    fn verdict(&mut self, replica: &str, n: MutationId) -> Result<Option<(Option<u64>, Verdict)>, Infallible> {
        Ok(self.store.verdicts.get(&self.verdict_key(replica, n)).cloned())
    }

    fn put_verdict(
        &mut self,
        replica: &str,
        n: MutationId,
        digest: Option<u64>,
        verdict: &Verdict,
    ) -> Result<(), Infallible> {
        let key = self.verdict_key(replica, n);
        let before = self.store.verdicts.insert(key.clone(), (digest, verdict.clone()));
        self.undo.push(Undo::Verdict(key, before.map(Box::new)));
        Ok(())
    }

    fn floor(&mut self) -> Result<MutationId, Infallible> {
        Ok(self.store.floors.get(&(self.owner.clone(), self.replica.clone())).copied().unwrap_or_default())
    }

    fn user_of(&mut self, replica: &ReplicaId) -> Result<Option<String>, Infallible> {
        let mut users = self.store.floors.keys().filter(|(_, known)| known == replica).map(|(owner, _)| owner);
        let user = users.next().map(|owner| owner.subject.clone());
        Ok(user.filter(|_| users.next().is_none()))
    }

    fn raise_floor(&mut self, floor: MutationId) -> Result<(), Infallible> {
        let key = (self.owner.clone(), self.replica.clone());
        let before = self.store.floors.get(&key).copied();
        self.store.floors.insert(key, before.unwrap_or_default().max(floor));
        self.undo.push(Undo::Floor(before));
        Ok(())
    }

    fn atomically(&mut self, work: &mut dyn FnMut(&mut Self) -> Result<bool, Infallible>) -> Result<bool, Infallible> {
        let mark = self.undo.len();
        let done = work(self)?;
        if !done {
            self.take_back(mark);
        }
        Ok(done)
    }
}

/// Everybody of the tenant may write everything; an entity that has the field `private_to` is held by that user's
/// group alone.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OpenPolicy {
    /// Every collection.
    pub settings: Settings,
    /// The field that names the only reader.
    pub private_to: Option<String>,
}

fn group(text: &str) -> Vec<Group> {
    Group::parse(text).into_iter().collect()
}

impl Policy for OpenPolicy {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn check_access(
        &self,
        _user: &Owner,
        _collection: &CollectionName,
        _id: &EntityId,
        _stored: &Value,
    ) -> Result<(), CoreError> {
        Ok(())
    }

    fn check_write(
        &self,
        _user: &Owner,
        _collection: &CollectionName,
        _id: &EntityId,
        _stored: Option<&Value>,
        _doc: Option<&Value>,
    ) -> Result<(), CoreError> {
        Ok(())
    }

    fn groups(&self, _collection: &CollectionName, _id: &EntityId, doc: &Value) -> Vec<Group> {
        let owner = self.private_to.as_ref().and_then(|field| doc.get(field)).and_then(Value::as_str);
        owner.map_or_else(|| group("tenant"), |owner| group(&format!("user:{owner}")))
    }

    fn reader_groups(&self, user: &Owner) -> Vec<Group> {
        group("tenant").into_iter().chain(group(&format!("user:{}", user.subject))).collect()
    }
}
