//! Changed fields from the live channel: whole documents again before anything else looks at them, so that the log and
//! everything behind it knows whole documents alone.
//!
//! Invariant: a delta is applied to the very revision that it was made from; otherwise the entity is pulled.

use crate::diff::Diff;
use crate::ids::CollectionName;
use crate::json::{self, JsonLimits, Once, Raw};
use crate::model::change::{Change, Delta};
use crate::replica::Replica;

impl Replica {
    /// The collections of which changed fields will do: those that are kept whole, as the server has them.
    pub(crate) fn patched(&self, wanted: &[CollectionName]) -> Vec<CollectionName> {
        let is_whole = |name: &&CollectionName| {
            !name.is_conflicts()
                && !self.config.replicate.contains_key(name.as_str())
                && !self.config.stripped.contains(name)
        };
        wanted.iter().filter(is_whole).cloned().collect()
    }

    /// Puts documents in the place of what changed in them. False: one is not here as it was then.
    pub(crate) fn complete(&self, changes: &mut [Change]) -> bool {
        let mut once = Once::default();
        changes.iter_mut().all(|change| match change.delta.take() {
            None => true,
            Some(delta) => {
                change.doc = self.completed(change, *delta, &mut once);
                change.doc.is_some()
            }
        })
    }

    fn completed(&self, change: &Change, delta: Delta, once: &mut Once) -> Option<Raw> {
        let entity = self.state.entity(change.c.as_str(), change.id.as_str())?;
        let before = entity.confirmed.as_ref().filter(|before| before.rev == delta.was)?;
        let mut doc = json::parse(once.get(&before.doc).as_bytes(), JsonLimits::MESSAGE).ok()?;
        let Delta { set, unset, .. } = delta;
        Diff { set, unset }.apply(&mut doc).ok()?;
        Some(Raw::trusted(json::write_text(&doc)))
    }
}
