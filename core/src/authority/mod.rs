//! The server's decision on a push, given rows. It knows no SQL, no HTTP and no clock.
//!
//! [`Rows`] is all that it asks of a store; the caller wraps [`decide_push`] in one database transaction, so that data,
//! verdicts and counters become durable together or not at all (rule 6).

mod cascade;
mod conflicts;
mod decide;
mod displaced;
mod edit;
pub mod fields;
mod fork;
pub mod groups;
pub mod identity;
mod item;
pub mod memory;
pub mod plan;
pub mod relations;
pub mod rights;
mod transaction;
mod upcast;

use crate::json::Value;

use crate::clock::Exchange;
use crate::error::CoreError;
use crate::ids::{CollectionName, EntityId, Group, MutationId, Owner, ReplicaId, Seq};
use crate::model::document;
use crate::model::migration::Migrations;
use crate::model::path::Path;
use crate::model::schema::{CollectionSettings, Settings};
use crate::protocol::message::{Push, PushAnswer, VERSION, Verdict};

pub use crate::merge::Stored;
use decide::Decider;
use fields::Mask;
use relations::{NaturalKey, Relations};
pub use upcast::{admit, bring_conflict, bring_stored};

/// A store as the authority sees it, inside one database transaction of one tenant.
pub trait Rows {
    /// How the store fails.
    type Error;
    /// One entity, or its tombstone.
    fn entity(&mut self, collection: &CollectionName, id: &EntityId) -> Result<Option<Stored>, Self::Error>;
    /// Stores an entity or its tombstone, and the groups that hold it now. Groups that held it before and are not in
    /// `groups` get a leave marker at `stored.rev` (rule 26). Where `stored.rev` is the one that is there already,
    /// only stamps changed: nobody has to hear of it.
    fn put(
        &mut self,
        collection: &CollectionName,
        id: &EntityId,
        stored: &Stored,
        groups: &[Group],
    ) -> Result<(), Self::Error>;
    /// The live entities of a collection whose ids begin so, in the order of their ids.
    fn beginning_with(
        &mut self,
        collection: &CollectionName,
        prefix: &str,
    ) -> Result<Vec<(EntityId, Stored)>, Self::Error>;
    /// The live entities of a collection of which this field names the entity `id`, in the order of their ids. What is
    /// here looks at all of the collection; a store of many rows has an index.
    fn referring(
        &mut self,
        collection: &CollectionName,
        path: &Path,
        id: &EntityId,
    ) -> Result<Vec<(EntityId, Stored)>, Self::Error> {
        let mut all = self.beginning_with(collection, "")?;
        all.retain(|(_, stored)| document::get(&stored.doc, path).and_then(Value::as_str) == Some(id.as_str()));
        Ok(all)
    }
    /// The live entities of a collection that have this natural key, in the order of their ids: one, or none. What is
    /// here looks at all of the collection; a store of many rows has an index of [`identity::key_of`].
    fn known_by(
        &mut self,
        collection: &CollectionName,
        key: &NaturalKey,
        value: &str,
    ) -> Result<Vec<(EntityId, Stored)>, Self::Error> {
        let mut all = self.beginning_with(collection, "")?;
        all.retain(|(_, stored)| identity::key_of(key, &stored.doc).as_deref() == Some(value));
        Ok(all)
    }
    /// The user whose push made the transaction with this `seq`; `None` where that is not known any more.
    fn author(&mut self, seq: Seq) -> Result<Option<String>, Self::Error>;
    /// The next `seq` of the tenant: one per transaction (rule 22).
    fn next_seq(&mut self) -> Result<Seq, Self::Error>;
    /// The newest `seq` of the tenant.
    fn seq(&mut self) -> Result<Seq, Self::Error>;
    /// Everything up to this `seq` of the tenant is past the horizon (rule 30).
    fn horizon(&mut self) -> Result<Seq, Self::Error>;
    /// What was decided of this user's under a number of a replica, with the digest of the content or, of a
    /// void, of the stamp that it gives up (`None` where it does not say).
    /// `replica`: a replica's id, or its [`claims`].
    fn verdict(&mut self, replica: &str, n: MutationId) -> Result<Option<(Option<u64>, Verdict)>, Self::Error>;
    /// Remembers a decision.
    fn put_verdict(
        &mut self,
        replica: &str,
        n: MutationId,
        digest: Option<u64>,
        verdict: &Verdict,
    ) -> Result<(), Self::Error>;
    /// The replica's floor as last raised; `MutationId::default()` for a new replica.
    fn floor(&mut self) -> Result<MutationId, Self::Error>;
    /// The user of a replica whose floor was raised; `None` where it is several users' or nobody's.
    fn user_of(&mut self, replica: &ReplicaId) -> Result<Option<String>, Self::Error>;
    /// Raises the floor; never lowers it. From then on the replica is known.
    fn raise_floor(&mut self, floor: MutationId) -> Result<(), Self::Error>;
    /// Runs `work` so that its writes can be taken back when it returns `Ok(false)`: a transaction has one verdict
    /// (rule 11).
    fn atomically(&mut self, work: &mut dyn FnMut(&mut Self) -> Result<bool, Self::Error>)
    -> Result<bool, Self::Error>;
}

/// Who may do what: the server's policy as the authority needs it.
pub trait Policy {
    /// Every collection's settings.
    fn settings(&self) -> &Settings;
    /// One collection's settings; `None` where there is no such collection. A server that allows any has some for each.
    fn collection(&self, name: &CollectionName) -> Option<&CollectionSettings> {
        self.settings().get(name)
    }
    /// The app's schema and the way to it from older versions of it; `None`: nobody looks at versions.
    fn migrations(&self) -> Option<&Migrations> {
        None
    }
    /// Whether the user may change what is stored, tombstones included. Asked first: whoever may not is told nothing
    /// else of it.
    ///
    /// # Errors
    /// `forbidden`.
    fn check_access(
        &self,
        user: &Owner,
        collection: &CollectionName,
        id: &EntityId,
        stored: &Value,
    ) -> Result<(), CoreError>;
    /// Whether the collection exists and the user, who has access, may write `doc` (`None`: delete) over `stored`.
    ///
    /// # Errors
    /// `unknown-collection`, `forbidden` or `invalid` with the path.
    fn check_write(
        &self,
        user: &Owner,
        collection: &CollectionName,
        id: &EntityId,
        stored: Option<&Value>,
        doc: Option<&Value>,
    ) -> Result<(), CoreError>;
    /// Whether the user, who may write it, may have a deleted entity live again as `doc`.
    ///
    /// # Errors
    /// `forbidden`.
    fn check_revival(
        &self,
        _user: &Owner,
        _collection: &CollectionName,
        _id: &EntityId,
        _doc: &Value,
    ) -> Result<(), CoreError> {
        Ok(())
    }
    /// What the user does not see of an entity that he sees: he writes nothing there, and is told nothing of it.
    fn mask(&self, _user: &Owner, _collection: &CollectionName, _id: &EntityId, _doc: &Value) -> Mask {
        Mask::default()
    }
    /// The groups that hold the entity: `tenant`, `user:{value of a field}`.
    fn groups(&self, collection: &CollectionName, id: &EntityId, doc: &Value) -> Vec<Group>;
    /// The groups of a user: he sees the entities that one of them holds.
    fn reader_groups(&self, user: &Owner) -> Vec<Group>;
    /// How entities hang together.
    fn relations(&self) -> &Relations {
        Relations::none()
    }
}

/// Where it stands what was decided of a replica's numbers under later names (`model::former`): beside its own
/// verdicts, so that a copy that goes on under the old name with other content is not taken for a clone. No replica has
/// such an id.
pub fn claims(replica: &str) -> String {
    format!("~{replica}")
}

/// ... where copies of the replica's store wrote different things under one number, for all but the first of them.
pub(crate) fn claims_of(replica: &str, digest: u64) -> String {
    format!("~{replica}~{digest}")
}

/// ... by the stamp of an edit, where it may be known with what was joined to it, and without: `joined` says which
/// stands here.
pub(crate) fn stamps_of(replica: &str, stamp: u64, joined: bool) -> String {
    format!("~{replica}~{stamp}~{}", if joined { "joined" } else { "alone" })
}

/// The group of one user, if the subject can be part of a group's name.
pub fn user_group(subject: &str) -> Option<Group> {
    if subject.is_empty() { None } else { Group::parse(&format!("user:{subject}")).ok() }
}

/// Decides a push.
///
/// The caller has checked the token, the owner of the store (rule 9) and the size of the body, and has [`admit`]ted it.
/// In one database transaction: a push in which a number stands with other content than before is answered `forked` and
/// nothing of it is applied (rule 8); otherwise each mutation or transaction gets its verdict, in the order of the push
/// (rule 12), and whoever failed fails alone.
///
/// # Errors
/// Those of the store. Everything else is a verdict.
pub fn decide_push<R: Rows, P: Policy>(
    rows: &mut R,
    policy: &P,
    user: &Owner,
    push: &Push,
    now_ms: u64,
) -> Result<PushAnswer, R::Error> {
    let items = item::read(&push.mutations, policy.migrations());
    let exchange = Exchange { sender_now: push.now, sent_at: push.sent_at, server_now: now_ms };
    let mut decider = Decider::new(policy, user, &push.replica, exchange, rows.horizon()?);
    let mut answer = PushAnswer {
        v: VERSION,
        now: now_ms,
        user: user.clone(),
        forked: None,
        verdicts: Vec::with_capacity(items.len()),
        history: None,
    };
    answer.forked = fork::find(rows, push.replica.as_str(), &items)?;
    if let Some(forked) = &mut answer.forked {
        for (one, item) in forked.iter_mut().zip(&items) {
            if let Some(verdict) = &mut one.same {
                decider.show_as_of_today(rows, item, verdict)?;
            }
        }
        return Ok(answer);
    }
    for unit in items.chunk_by(|a, b| a.tx.is_some() && a.tx == b.tx && a.n < b.n) {
        answer.verdicts.extend(decider.unit(rows, unit)?);
    }
    if push.floor > rows.floor()? {
        rows.raise_floor(push.floor)?;
    }
    Ok(answer)
}
