//! What a pull takes away without telling of each entity: what its reader may no longer see (rules 26 and 28), and what
//! a reading of everything did not bring (rule 24).
//!
//! Not here: rows that are given up for room ([`evict`](crate::store::evict)).

use crate::ids::{CollectionName, EntityId};
use crate::log::record::Changes;
use crate::store::effects::Effects;
use crate::store::state::{Staged, State};
use crate::store::{conflicts, journal, local};

/// What is to be forgotten at the end is so at once where an earlier pull has staged it: what comes after this may be
/// seen again.
#[inline(never)]
pub(super) fn staged(staged: &mut Staged, changes: &mut Changes) {
    staged.rows.retain_mut(|(_, row)| {
        row.g.retain(|group| !changes.forget_groups.contains(group));
        if row.g.is_empty() {
            row.doc = None;
        }
        !changes.forget_collections.contains(&row.c)
    });
    staged.forget_groups.append(&mut changes.forget_groups);
    staged.forget_collections.append(&mut changes.forget_collections);
}

/// Erases what the reader may no longer see (rule 26): an entity goes when no group of the reader's is left to it.
#[inline(never)]
pub(super) fn left(state: &mut State, key: u64, staged: &Staged, effects: &mut Effects) {
    let mut hidden = Vec::new();
    for (collection, map) in state.entities.iter_mut() {
        let whole = staged.forget_collections.contains(collection);
        map.retain(&mut |id, entity| {
            let Some(confirmed) = &mut entity.confirmed else { return entity.is_known() };
            let before = confirmed.groups.len();
            confirmed.groups.retain(|group| !staged.forget_groups.contains(group));
            if before == confirmed.groups.len() && !whole {
                return true;
            }
            entity.position = key;
            if confirmed.groups.is_empty() || whole {
                entity.confirmed = None;
                hidden.push((collection.clone(), id.clone()));
            }
            state.dirty.entities.push((collection.clone(), id.clone()));
            effects.touched.push((collection.clone(), id.clone()));
            entity.is_known()
        });
    }
    for (collection, id) in &hidden {
        conflicts::blind(state, key, collection, id);
        if !staged.forget_collections.contains(collection) {
            local::drop(state, collection, id);
        }
    }
    hidden.sort_unstable();
    journal::forget(state, key, staged, &hidden);
}

/// A reset read everything again, or a healing some collections: what they did not bring is gone.
#[inline(never)]
pub(super) fn all_but(state: &mut State, key: u64, staged: &Staged, effects: &mut Effects) {
    let mut kept: Vec<(&CollectionName, &EntityId)> = staged.rows.iter().map(|(_, row)| (&row.c, &row.id)).collect();
    kept.sort_unstable();
    for (collection, map) in state.entities.iter_mut() {
        let is_ours = collection.is_local() || collection.is_aliases();
        if is_ours || !staged.reset && !staged.reread.contains(collection) {
            continue;
        }
        map.retain(&mut |id, entity| {
            if entity.confirmed.take().is_some() && kept.binary_search(&(collection, id)).is_err() {
                entity.position = key;
                state.dirty.entities.push((collection.clone(), id.clone()));
                effects.touched.push((collection.clone(), id.clone()));
            }
            entity.is_known()
        });
    }
}
