//! What entities were before their latest commits, while somebody listens to their tenant: a frame tells what is
//! different from then. In memory and bounded: what is not known here is told whole.

use std::collections::{BTreeMap, VecDeque};

use tidewire_core::ids::{CollectionName, EntityId, Group, Rev};

/// Of one tenant.
const BYTES_MAX: usize = 512 * 1024;
/// Commits of one entity between two looks of a reader: behind more of them it is told whole.
const STEPS_MAX: usize = 64;

type Key = (CollectionName, EntityId);

/// An entity before a commit.
#[derive(Debug, Clone)]
pub struct Version {
    /// Its revision then.
    pub was: Rev,
    /// Its document then, in canonical form.
    pub doc: String,
    /// The groups that held it.
    pub groups: Vec<Group>,
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
    by_entity: BTreeMap<Key, BTreeMap<Rev, Version>>,
    order: VecDeque<(Key, Rev)>,
    bytes: usize,
}

impl Versions {
    /// What an entity was that is at `rev` now, when everything up to `seq` had been told.
    pub fn before(&self, collection: &CollectionName, id: &EntityId, rev: Rev, seq: Rev) -> Option<&Version> {
        let of = self.by_entity.get(&(collection.clone(), id.clone()))?;
        let mut version = of.get(&rev)?;
        for _ in 0..STEPS_MAX {
            if version.was <= seq {
                return Some(version);
            }
            version = of.get(&version.was)?;
        }
        None
    }

    pub(super) fn add(&mut self, replaced: Replaced) {
        let Replaced { key, rev, version } = replaced;
        let size = version.doc.len();
        let before = self.by_entity.entry(key.clone()).or_default().insert(rev, version);
        self.bytes += size;
        match before {
            Some(before) => self.bytes -= before.doc.len(),
            None => self.order.push_back((key, rev)),
        }
        while self.bytes > BYTES_MAX {
            let Some((key, rev)) = self.order.pop_front() else { return };
            if let Some(of) = self.by_entity.get_mut(&key) {
                self.bytes -= of.remove(&rev).map_or(0, |version| version.doc.len());
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
        let version = Version { was, doc: "x".repeat(bytes), groups: Vec::new() };
        Replaced { key: key(id), rev, version }
    }

    #[test]
    fn steps_lead_back_to_what_was_told() {
        let mut versions = Versions::default();
        for (was, rev) in [(3, 5), (5, 9), (9, 10)] {
            versions.add(replaced("a", was, rev, 10));
        }
        let (c, id) = key("a");
        let was = |rev, seq| versions.before(&c, &id, rev, seq).map(|version| version.was);
        assert_eq!([was(10, 4), was(10, 8), was(10, 9), was(9, 4)], [Some(3), Some(5), Some(9), Some(3)]);
        assert_eq!([was(10, 2), was(11, 10), was(8, 7)], [None; 3], "nothing is known of these");
    }

    #[test]
    fn the_oldest_go_first() {
        let mut versions = Versions::default();
        for n in 0..10 {
            versions.add(replaced(&format!("e{n}"), 1, 10 + n, BYTES_MAX / 4));
            versions.add(replaced("same", 1, 2, BYTES_MAX / 8));
        }
        let known: Vec<Rev> =
            (0..10).filter(|n| versions.before(&key("x").0, &key(&format!("e{n}")).1, 10 + n, 5).is_some()).collect();
        assert_eq!(known, [7, 8, 9]);
        assert!(versions.bytes <= BYTES_MAX);
        assert_eq!(versions.order.len(), versions.by_entity.values().map(BTreeMap::len).sum::<usize>());
    }
}
