//! A sorted map of any size: a list of small maps, each with at most `CHUNK` entries.
//!
//! For entities by id, of which a device holds a hundred thousand and learns of in any order. Every operation is two
//! searches and moves at most one small map's pointers.
//!
//! Invariant: no chunk is empty, and all keys of a chunk are below all keys of the next one.

use std::borrow::Borrow;

use crate::small::{SmallMap, search};

/// More entries than this are split in two.
const CHUNK: usize = 512;

/// A sorted map.
#[derive(Debug)]
pub struct Table<K, V>(Vec<SmallMap<K, V>>);

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> Table<K, V> {
    /// The chunk that has the key if any does: the first one that does not end before it.
    #[expect(clippy::indexing_slicing, reason = "the search asks for what is there")]
    fn chunk_of<Q: Ord + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        let (Ok(index) | Err(index)) =
            search(self.0.len(), &mut |index| self.0[index].last_key().map(K::borrow).cmp(&Some(key)));
        index
    }

    /// The value under a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.0.get(self.chunk_of(key))?.get(key)
    }

    /// The value under a key.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let index = self.chunk_of(key);
        self.0.get_mut(index)?.get_mut(key)
    }

    /// Takes out the value under a key.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let index = self.chunk_of(key);
        let chunk = self.0.get_mut(index)?;
        let value = chunk.remove(key);
        if chunk.is_empty() {
            self.0.remove(index);
        }
        value
    }

    /// Keeps the entries for which `keep` says so.
    pub fn retain(&mut self, keep: &mut dyn FnMut(&K, &mut V) -> bool) {
        self.0.retain_mut(|chunk| {
            chunk.retain(&mut *keep);
            !chunk.is_empty()
        });
    }

    /// The keys in order: a list, because an iterator through two levels is a lot of code wherever it is used.
    pub fn keys(&self) -> Vec<&K> {
        let mut keys = Vec::new();
        for chunk in &self.0 {
            keys.extend(chunk.keys());
        }
        keys
    }

    /// Shows the entries in the order of their keys.
    pub fn each<'a>(&'a self, then: &mut dyn FnMut(&'a K, &'a V)) {
        for chunk in &self.0 {
            for (key, value) in chunk.iter() {
                then(key, value);
            }
        }
    }

    /// The entries from a key on, as long as `is` says so of their keys.
    pub fn run_from<Q: Ord + ?Sized>(&self, key: &Q, is: &dyn Fn(&K) -> bool) -> Vec<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        let mut run = Vec::new();
        for chunk in self.0.get(self.chunk_of(key)..).unwrap_or_default() {
            for entry in chunk.from(key) {
                if !is(entry.0) {
                    return run;
                }
                run.push(entry);
            }
        }
        run
    }

    /// How many values are as asked.
    pub fn count(&self, is: &dyn Fn(&V) -> bool) -> usize {
        let mut count = 0;
        for chunk in &self.0 {
            count += chunk.values().filter(|value| is(value)).count();
        }
        count
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Ord, V: Default> Table<K, V> {
    /// The value under a key, made if there is none.
    #[expect(clippy::indexing_slicing, reason = "there is a chunk, and the index is at most that of the last one")]
    pub fn or_default(&mut self, key: K) -> &mut V {
        if self.0.is_empty() {
            self.0.push(SmallMap::new());
        }
        let mut index = self.chunk_of(&key).min(self.0.len() - 1);
        if self.0[index].len() >= CHUNK {
            let half = self.0[index].split_half();
            self.0.insert(index + 1, half);
            if self.0[index].last_key() < Some(&key) {
                index += 1;
            }
        }
        self.0[index].or_default(key)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_table_is_a_sorted_map(steps in prop::collection::vec((0..4_000_u16, 0..4_u8), 0..6_000)) {
            let (mut table, mut tree) = (Table::default(), BTreeMap::new());
            for (key, step) in steps {
                if step == 0 {
                    prop_assert_eq!(table.remove(&key), tree.remove(&key));
                } else {
                    *table.or_default(key) = step;
                    tree.insert(key, step);
                }
                prop_assert_eq!(table.get(&key), tree.get(&key));
            }
            let run = table.run_from(&700, &|key| *key < 2_900);
            prop_assert!(run.into_iter().eq(tree.range(700..2_900)));
            prop_assert!(table.keys().into_iter().eq(tree.keys()));
            let mut entries = Vec::new();
            table.each(&mut |key, value| entries.push((key, value)));
            prop_assert!(entries.into_iter().eq(&tree));
            prop_assert_eq!(table.count(&|value| *value == 2), tree.values().filter(|value| **value == 2).count());
            table.retain(&mut |key, value| key % 7 == 0 && *value > 1);
            tree.retain(|key, value| key % 7 == 0 && *value > 1);
            prop_assert!(table.keys().into_iter().eq(tree.keys()));
            prop_assert_eq!(table.is_empty(), tree.is_empty());
        }
    }
}
