//! The server's decision on a push, given rows. It knows no SQL, no HTTP and no clock.
//!
//! [`Rows`] is all that it asks of a store; the caller wraps [`decide_push`] in one database transaction, so that data,
//! verdicts and counters become durable together or not at all (rule 6).

use crate::error::CoreError;
use crate::ids::{CollectionName, EntityId, Group, MutationId, Owner, ReplicaId, Rev, Seq};
use crate::model::schema::Settings;
use crate::protocol::message::{Push, PushAnswer, Verdict};
use serde_json::Value;

/// One entity as the server stores it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The `seq` of the transaction that last changed it.
    pub rev: Rev,
    /// When its newest field was written, in milliseconds since 1970.
    pub at: u64,
    /// The replica that made this revision.
    pub by: ReplicaId,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// The document without its id; of a tombstone, the last one (rule 30).
    pub doc: Value,
    /// By leaf path, removed ones included: the revision and the stamp of its last change (rule 14).
    pub paths: crate::merge::PathRevs,
}

/// A store as the authority sees it, inside one database transaction of one tenant.
pub trait Rows {
    /// How the store fails.
    type Error;
    /// One entity, or its tombstone.
    fn entity(&mut self, collection: &CollectionName, id: &EntityId) -> Result<Option<Stored>, Self::Error>;
    /// Stores an entity or its tombstone, and the groups that hold it now. Groups that held it before and are not in `groups` get
    /// a leave marker at `stored.rev` (rule 26).
    fn put(
        &mut self,
        collection: &CollectionName,
        id: &EntityId,
        stored: &Stored,
        groups: &[Group],
    ) -> Result<(), Self::Error>;
    /// The next `seq` of the tenant: one per transaction (rule 22).
    fn next_seq(&mut self) -> Result<Seq, Self::Error>;
    /// The newest `seq` of the tenant.
    fn seq(&mut self) -> Result<Seq, Self::Error>;
    /// What was decided under a number of this push's replica, with the content's digest (`None` for a void).
    fn verdict(&mut self, n: MutationId) -> Result<Option<(Option<u64>, Verdict)>, Self::Error>;
    /// Remembers a decision.
    fn put_verdict(&mut self, n: MutationId, digest: Option<u64>, verdict: &Verdict) -> Result<(), Self::Error>;
    /// The replica's floor as last raised; `MutationId::default()` for a new replica.
    fn floor(&mut self) -> Result<MutationId, Self::Error>;
    /// Raises the floor; never lowers it.
    fn raise_floor(&mut self, floor: MutationId) -> Result<(), Self::Error>;
    /// Runs `work` so that its writes can be taken back when it returns `Ok(false)`: a transaction has one verdict (rule 11).
    fn atomically(&mut self, work: &mut dyn FnMut(&mut Self) -> Result<bool, Self::Error>)
    -> Result<bool, Self::Error>;
}

/// Who may do what: the server's policy as the authority needs it.
pub trait Policy {
    /// Every collection's settings.
    fn settings(&self) -> &Settings;
    /// Whether the collection exists and the user may write `doc` (`None`: delete) over `stored` in it.
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
    /// The groups that hold the entity: `tenant`, `user:{value of a field}`.
    fn groups(&self, collection: &CollectionName, id: &EntityId, doc: &Value) -> Vec<Group>;
    /// Whether a reader with these groups may see an entity in those: both sorted.
    fn reader_groups(&self, user: &Owner) -> Vec<Group>;
}

/// Decides a push.
///
/// # Errors
/// Those of the store. Everything else is a verdict.
pub fn decide_push<R: Rows, P: Policy>(
    _rows: &mut R,
    _policy: &P,
    _user: &Owner,
    _push: &Push,
    _now_ms: u64,
) -> Result<PushAnswer, R::Error> {
    unimplemented!("the helper `model` writes this")
}
