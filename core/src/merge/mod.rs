//! What a mutation comes to when others wrote the same entity: the one place where concurrency is decided.
//!
//! [`merge`] is what the server does with what it stores; [`predict`] is what the client shows until the server has
//! answered. Both split a mutation into the same leaf steps (rule 14) and carry them out by the same code
//! (`weave`), so that they agree wherever nothing is concurrent.
//!
//! The invariant: **no value is lost silently.** Each value of a mutation is in the resulting document, or equal to
//! what is there, or in [`Outcome::overwritten`], or waits in [`Outcome::parked`]; each stored value that it replaces
//! without having seen it is in [`Outcome::displaced`].
//!
//! Not here: numbers, verdicts and transactions; see [`authority`](crate::authority).

mod arrays;
mod entity;
mod leaf;
mod park;
mod paths;
mod predict;
mod text;
mod weave;

use crate::json::Value;

use crate::clock::{Hlc, Stamp};
use crate::ids::{ReplicaId, Rev};
use crate::model::document;
use crate::model::path::Path;
use crate::model::verdict::Overwritten;
use crate::small::SmallMap;

pub use entity::merge;
pub use park::{Parked, Parking, Waiting, too_many_wait};
pub use paths::{PathRev, PathRevs, stamp_at, writers};
pub use predict::predict;
pub use text::TextSteps;

/// One entity as the server stores it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The `seq` of the transaction that last changed it.
    pub rev: Rev,
    /// When its newest field was written, or, of a tombstone, when it was deleted: in milliseconds since 1970.
    pub at: u64,
    /// The replica that made this revision.
    pub by: ReplicaId,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// Of a tombstone: the replica that had deleted it before, which the one above had not seen.
    pub also: Option<ReplicaId>,
    /// The document without its id; of a tombstone, the last one (rule 30).
    pub doc: Value,
    /// By leaf path, removed ones included: the revision and the stamp of its last change (rule 14).
    pub paths: PathRevs,
}

impl Stored {
    /// Drops what is known of removed fields up to the horizon (rule 14): names that come and go would add up for ever.
    /// Who was away for so long reads everything anew; his edit of such a field applies.
    pub fn forget_removed(&mut self, horizon: Rev) {
        let doc = &self.doc;
        self.paths.retain(|path, entry| entry.0 > horizon || document::get(doc, path).is_some());
    }
}

/// What a mutation comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The document afterwards; of a deleted entity, its last one.
    pub doc: Value,
    /// Whether the entity is a tombstone afterwards.
    pub deleted: bool,
    /// Whether it differs from before, so that it needs a new revision.
    pub changed: bool,
    /// The leaf paths that changed, with their stamps.
    pub touched: SmallMap<Path, Stamp>,
    /// Paths that were written again with the value that they had: only who else wrote it, and when, is news.
    pub restamped: SmallMap<Path, Stamp>,
    /// Values of this mutation that lost.
    pub overwritten: Vec<Overwritten>,
    /// Stored values that lost, though its author had not seen them: `yours` is theirs.
    pub displaced: Vec<Overwritten>,
    /// Values of this mutation that wait for its author's decision; nothing of them is in the document (rule 17).
    pub parked: Vec<Parked>,
    /// When the entity's newest field was written, or it was deleted.
    pub at: Hlc,
}

impl Outcome {
    /// Whether the store has to keep anything.
    pub fn is_worth_storing(&self) -> bool {
        self.changed || !self.restamped.is_empty()
    }

    /// Whether a concurrent write was met that cost somebody a value.
    pub fn is_merged(&self) -> bool {
        !self.overwritten.is_empty() || !self.displaced.is_empty()
    }

    /// The entity afterwards. `rev` is the transaction's `seq` if it changed; else the stored revision stays.
    pub fn store(&self, before: Option<&Stored>, rev: Rev, replica: &ReplicaId) -> Stored {
        self.stored(self.doc.clone(), before.map(|before| before.paths.clone()), before, rev, replica)
    }

    /// The same, of which the document and what it replaces are not needed any more.
    pub(crate) fn take_stored(&mut self, mut before: Option<Stored>, rev: Rev, replica: &ReplicaId) -> Stored {
        let (doc, paths) =
            (std::mem::take(&mut self.doc), before.as_mut().map(|before| std::mem::take(&mut before.paths)));
        self.stored(doc, paths, before.as_ref(), rev, replica)
    }

    fn stored(
        &self,
        doc: Value,
        paths: Option<PathRevs>,
        before: Option<&Stored>,
        rev: Rev,
        replica: &ReplicaId,
    ) -> Stored {
        let mut paths = paths.unwrap_or_default();
        for (path, stamp) in self.touched.iter() {
            paths.insert(path.clone(), PathRev(rev, stamp.clone(), None));
        }
        for (path, stamp) in self.restamped.iter() {
            if let Some(entry) = paths.get_mut(path) {
                entry.2 = Some(stamp.clone());
            }
        }
        let (rev, by) = match before {
            Some(before) if !self.changed => (before.rev, before.by.clone()),
            _ => (rev, replica.clone()),
        };
        // A tombstone that changes and stays one is deleted once more.
        let also = before.filter(|before| before.deleted && self.deleted);
        let also = also.and_then(|before| if self.changed { Some(before.by.clone()) } else { before.also.clone() });
        Stored { rev, at: self.at.0, by, deleted: self.deleted, also, doc, paths }
    }
}

/// Why a mutation has no outcome.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// Its entity is not there: it may come (rule 10).
    Missing,
    /// It can never take effect.
    Never(crate::error::CoreError),
}

impl From<crate::error::CoreError> for Refusal {
    fn from(error: crate::error::CoreError) -> Self {
        Self::Never(error)
    }
}
