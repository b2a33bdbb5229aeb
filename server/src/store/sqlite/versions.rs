//! What entities were before their latest commits, while somebody listens to their tenant: a frame tells what is
//! different from then. In memory and bounded: what is not known here is told whole.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};

use tidewire_core::diff::{Diff, diff};
use tidewire_core::ids::{CollectionName, EntityId, Group, Rev};
use tidewire_core::json::{self, JsonLimits};
use tidewire_core::model::change::Delta;

/// Of one tenant.
pub(super) const BYTES_MAX: usize = 256 * 1024;
/// ... and while all tenants together have more than [`ALL_BYTES_MAX`].
pub(super) const BYTES_MIN: usize = 16 * 1024;
/// Of all tenants.
pub(super) const ALL_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What one takes beside its document: names twice, groups, nodes of the maps.
const OVERHEAD: usize = 1_024;
/// Commits of one entity between two looks of a reader: behind more of them it is told whole.
const STEPS_MAX: usize = 64;

type Key = (CollectionName, EntityId);

/// An entity before a commit.
#[derive(Debug)]
pub struct Version {
    /// Its revision then.
    was: Rev,
    /// Its document then, in canonical form.
    doc: String,
    /// The groups that held it.
    groups: Vec<Group>,
    /// What is different at a revision. All readers who have this version are told the same.
    told: OnceLock<(Rev, Option<Delta>)>,
}

/// A version, the entity, and the revision that came after it.
#[derive(Debug)]
pub(super) struct Replaced {
    pub(super) key: Key,
    pub(super) rev: Rev,
    pub(super) version: Version,
}

/// The latest versions of one tenant.
#[derive(Debug, Default)]
pub struct Versions {
    by_entity: BTreeMap<Key, BTreeMap<Rev, Arc<Version>>>,
    order: VecDeque<(Key, Rev)>,
    bytes: usize,
}

impl Version {
    pub(super) fn new(was: Rev, doc: String, groups: Vec<Group>) -> Self {
        Self { was, doc, groups, told: OnceLock::new() }
    }

    /// Whether a reader with these groups saw it.
    pub fn was_seen_by(&self, groups: &[Group]) -> bool {
        groups.iter().any(|group| self.groups.contains(group))
    }

    /// What is different in the document that it has at `rev`, if that is shorter than the document.
    pub fn delta(&self, rev: Rev, doc: &str) -> Option<Delta> {
        let (known, delta) = self.told.get_or_init(|| (rev, self.difference(doc)));
        if *known == rev { delta.clone() } else { self.difference(doc) }
    }

    fn difference(&self, doc: &str) -> Option<Delta> {
        let read = |text: &str| json::parse(text.as_bytes(), JsonLimits::MESSAGE).ok();
        let Diff { set, unset } = diff(&read(&self.doc)?, &read(doc)?).ok()?;
        let delta = Delta { was: self.was, set, unset };
        (json::to_text(&delta).len() < doc.len()).then_some(delta)
    }

    fn bytes(&self) -> usize {
        self.doc.len() + OVERHEAD
    }
}

impl Versions {
    /// What an entity was that is at `rev` now, when everything up to `seq` had been told.
    pub fn before(&self, collection: &CollectionName, id: &EntityId, rev: Rev, seq: Rev) -> Option<Arc<Version>> {
        let of = self.by_entity.get(&(collection.clone(), id.clone()))?;
        let mut version = of.get(&rev)?;
        for _ in 0..STEPS_MAX {
            if version.was <= seq {
                return Some(Arc::clone(version));
            }
            version = of.get(&version.was)?;
        }
        None
    }

    /// About the memory that they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes one in, and lets the oldest go that are over `most` bytes.
    pub(super) fn add(&mut self, replaced: Replaced, most: usize) {
        let Replaced { key, rev, version } = replaced;
        self.bytes += version.bytes();
        let before = self.by_entity.entry(key.clone()).or_default().insert(rev, Arc::new(version));
        match before {
            Some(before) => self.bytes -= before.bytes(),
            None => self.order.push_back((key, rev)),
        }
        while self.bytes > most {
            let Some((key, rev)) = self.order.pop_front() else { return };
            if let Some(of) = self.by_entity.get_mut(&key) {
                self.bytes -= of.remove(&rev).map_or(0, |version| version.bytes());
                if of.is_empty() {
                    self.by_entity.remove(&key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn key(id: &str) -> Key {
        (CollectionName::parse("notes").unwrap(), EntityId::parse(id).unwrap())
    }

    fn replaced(id: &str, was: Rev, rev: Rev, bytes: usize) -> Replaced {
        Replaced { key: key(id), rev, version: Version::new(was, "x".repeat(bytes), Vec::new()) }
    }

    #[test]
    fn steps_lead_back_to_what_was_told() {
        let mut versions = Versions::default();
        for (was, rev) in [(3, 5), (5, 9), (9, 10)] {
            versions.add(replaced("a", was, rev, 10), BYTES_MAX);
        }
        let (c, id) = key("a");
        let was = |rev, seq| versions.before(&c, &id, rev, seq).map(|version| version.was);
        assert_eq!([was(10, 4), was(10, 8), was(10, 9), was(9, 4)], [Some(3), Some(5), Some(9), Some(3)]);
        assert_eq!([was(10, 2), was(11, 10), was(8, 7)], [None; 3], "nothing is known of these");
    }

    #[test]
    fn the_oldest_go_first_and_small_ones_count() {
        let mut versions = Versions::default();
        for n in 0..10 {
            versions.add(replaced(&format!("e{n}"), 1, 10 + n, BYTES_MAX / 4), BYTES_MAX);
            versions.add(replaced("same", 1, 2, BYTES_MAX / 8), BYTES_MAX);
        }
        let is_known = |n: &u64| versions.before(&key("x").0, &key(&format!("e{n}")).1, 10 + n, 5).is_some();
        assert_eq!((0..10).filter(is_known).collect::<Vec<_>>(), [7, 8, 9]);
        assert!(versions.bytes() <= BYTES_MAX);
        for n in 0..10_000 {
            versions.add(replaced(&format!("small{n}"), 1, 2, 2), BYTES_MAX);
        }
        assert!(versions.order.len() <= BYTES_MAX / OVERHEAD);
        assert_eq!(versions.order.len(), versions.by_entity.values().map(BTreeMap::len).sum::<usize>());
    }

    #[test]
    fn a_difference_that_is_no_shorter_is_none() {
        let version = Version::new(1, "{\"a\":1,\"b\":\"a long text that stays\"}".into(), Vec::new());
        let delta = version.delta(2, "{\"a\":2,\"b\":\"a long text that stays\"}").unwrap();
        assert_eq!(json::to_text(&delta), "{\"was\":1,\"set\":{\"/a\":2}}");
        assert_eq!(version.delta(3, "{\"a\":3,\"b\":\"a long text that stays\"}").unwrap().set.values().count(), 1);
        assert!(Version::new(1, "{\"a\":1}".into(), Vec::new()).delta(2, "{\"a\":2}").is_none());
    }
}
