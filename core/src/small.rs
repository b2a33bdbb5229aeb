//! Maps and sets that stay small, or are filled in order: a sorted list of boxed entries.
//!
//! In the browser module each kind of `BTreeMap` costs kilobytes of code; one of these costs a few hundred bytes,
//! because the list holds pointers: what moves and grows it is the same machine code for all kinds, and so is the
//! search. Inserting and removing moves the pointers behind the place: nothing at the end, some microseconds at the
//! front of ten thousand. So: for settings, and for what a queue holds in the order of its numbers. For more than
//! that [`crate::table`].

use std::borrow::Borrow;
use std::cmp::Ordering;

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A sorted list of keys and values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SmallMap<K, V>(Vec<Box<Slot<K, V>>>);

/// A sorted list of keys.
pub type SmallSet<K> = SmallMap<K, ()>;

/// One entry. The key stands first whatever the value is, so that one search serves all maps with such keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[repr(C)]
pub struct Slot<K, V> {
    key: K,
    value: V,
}

/// Where something stands in a sorted list of `len`, or where it belongs. `compare` orders the one at an index against
/// it.
pub(crate) fn search(len: usize, compare: &mut dyn FnMut(usize) -> Ordering) -> Result<usize, usize> {
    let (mut low, mut high) = (0, len);
    // The last one first: most lists grow at their end.
    let mut middle = len.saturating_sub(1);
    while low < high {
        match compare(middle) {
            Ordering::Equal => return Ok(middle),
            Ordering::Less => low = middle + 1,
            Ordering::Greater => high = middle,
        }
        middle = low + (high - low) / 2;
    }
    Err(low)
}

impl<K, V> Default for SmallMap<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> SmallMap<K, V> {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    #[expect(clippy::indexing_slicing, reason = "the search asks for what is there")]
    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        search(self.0.len(), &mut |index| self.0[index].key.borrow().cmp(key))
    }

    /// The value under a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let index = self.find(key).ok()?;
        self.0.get(index).map(|slot| &slot.value)
    }

    /// The value under a key.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let index = self.find(key).ok()?;
        self.0.get_mut(index).map(|slot| &mut slot.value)
    }

    /// Whether there is a value under a key.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).is_ok()
    }

    /// Puts a value under a key; says whether one stood there.
    pub fn insert(&mut self, key: K, value: V) -> bool {
        self.put(Box::new(Slot { key, value })).is_some()
    }

    /// Only pointers move here: this is the same machine code for all maps with such keys.
    #[expect(clippy::indexing_slicing, reason = "the entry was found in the line before")]
    fn put(&mut self, slot: Box<Slot<K, V>>) -> Option<Box<Slot<K, V>>> {
        match self.find(&slot.key) {
            Ok(index) => Some(std::mem::replace(&mut self.0[index], slot)),
            Err(index) => {
                self.0.insert(index, slot);
                None
            }
        }
    }

    /// Takes out the value under a key.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let index = self.find(key).ok()?;
        Some(self.0.remove(index).value)
    }

    /// Keeps the entries for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.0.retain_mut(|slot| keep(&slot.key, &mut slot.value));
    }

    /// The entries in the order of their keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + Clone {
        self.0.iter().map(|slot| (&slot.key, &slot.value))
    }

    /// The entries from a key on.
    pub fn from<'a, Q: Ord + ?Sized>(&'a self, key: &Q) -> impl Iterator<Item = (&'a K, &'a V)> + use<'a, K, V, Q>
    where
        K: Borrow<Q>,
    {
        let (Ok(start) | Err(start)) = self.find(key);
        self.0.get(start..).unwrap_or_default().iter().map(|slot| (&slot.key, &slot.value))
    }

    /// The keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + Clone {
        self.0.iter().map(|slot| &slot.key)
    }

    /// The values in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> + Clone {
        self.0.iter().map(|slot| &slot.value)
    }

    /// The values in the order of their keys.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|slot| &mut slot.value)
    }

    /// The entries in the order of their keys; the values may be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.0.iter_mut().map(|slot| (&slot.key, &mut slot.value))
    }

    /// Takes out the first entry.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        if self.0.is_empty() {
            return None;
        }
        let slot = *self.0.remove(0);
        Some((slot.key, slot.value))
    }

    /// Takes out the entries of which `is` says so, in one pass.
    pub fn take(&mut self, is: &mut dyn FnMut(&K, &V) -> bool) -> Self {
        let all = std::mem::take(&mut self.0).into_iter();
        let (taken, kept) = all.partition(|slot| is(&slot.key, &slot.value));
        self.0 = kept;
        Self(taken)
    }

    /// Takes out the entries from the middle on.
    pub(crate) fn split_half(&mut self) -> Self {
        Self(self.0.split_off(self.0.len() / 2))
    }

    /// The greatest key.
    pub(crate) fn last_key(&self) -> Option<&K> {
        self.0.last().map(|slot| &slot.key)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Ord, V> SmallMap<K, V> {
    /// The value under a key, made if there is none.
    #[expect(clippy::indexing_slicing, reason = "the entry was found or made in the line before")]
    pub fn or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let index = match self.find(&key) {
            Ok(index) => index,
            Err(index) => {
                self.0.insert(index, Box::new(Slot { key, value: make() }));
                index
            }
        };
        &mut self.0[index].value
    }
}

impl<K: Ord, V: Default> SmallMap<K, V> {
    /// The value under a key, made if there is none.
    pub fn or_default(&mut self, key: K) -> &mut V {
        self.or_insert_with(key, V::default)
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for SmallMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        map.extend(entries);
        map
    }
}

impl<K: Ord, V> Extend<(K, V)> for SmallMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K, V> IntoIterator for SmallMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::iter::Map<std::vec::IntoIter<Box<Slot<K, V>>>, fn(Box<Slot<K, V>>) -> (K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().map(|slot| (slot.key, slot.value))
    }
}

impl<K: Serialize + Ord, V: Serialize> Serialize for SmallMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, value) in self.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Deserialize<'de> for SmallMap<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<K, V>(std::marker::PhantomData<(K, V)>);
        impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> serde::de::Visitor<'de> for Entries<K, V> {
            type Value = SmallMap<K, V>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut map = SmallMap::new();
                while let Some((key, value)) = entries.next_entry()? {
                    map.insert(key, value);
                }
                Ok(map)
            }
        }
        deserializer.deserialize_map(Entries(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_small_map_is_a_sorted_map(steps in prop::collection::vec((0..20_u8, 0..4_u8), 0..60)) {
            let (mut small, mut tree) = (SmallMap::new(), BTreeMap::new());
            for (key, step) in steps {
                match step {
                    0 => prop_assert_eq!(small.remove(&key), tree.remove(&key)),
                    1 => prop_assert_eq!(small.pop_first(), tree.pop_first()),
                    2 if key > 16 => {
                        let taken = small.take(&mut |known, _| known % 4 == key % 4);
                        let expected: BTreeMap<_, _> = tree.extract_if(.., |known, _| known % 4 == key % 4).collect();
                        prop_assert!(taken.iter().eq(expected.iter()));
                    }
                    _ => prop_assert_eq!(small.insert(key, step), tree.insert(key, step).is_some()),
                }
                prop_assert_eq!(small.get(&key), tree.get(&key));
                prop_assert!(small.iter().eq(tree.iter()));
                prop_assert!(small.from(&key).eq(tree.range(key..)));
                prop_assert_eq!(small.len(), tree.len());
            }
        }
    }
}
