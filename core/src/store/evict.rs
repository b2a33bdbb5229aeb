//! Giving up confirmed documents, and taking in those that were asked for one by one.
//!
//! The leader decides what goes; the fold only holds it to this: an entity stays as long as this device has something
//! to say about it. Neither is a delete: local values and conflicts stay.

use crate::ids::{CollectionName, EntityId, MutationId, Rev};
use crate::log::kept::{Evict, Fetched, Used};
use crate::model::change::Change;
use crate::store::effects::Effects;
use crate::store::fold::confirm;
use crate::store::state::{Entity, State, Status};
use crate::store::{aliases, conflicts, journal};

/// Whether an entity must stay: it has an edit that is not in the server's data at `seen`, a dead letter, or something
/// that waits for its author.
pub fn is_pinned(state: &State, collection: &CollectionName, id: &EntityId, seen: Rev) -> bool {
    let waits = |n: &MutationId| {
        state.queue.get(n).is_some_and(|entry| !matches!(entry.status, Status::Settled(rev) if rev <= seen))
    };
    let entity = state.entity(collection.as_str(), id.as_str());
    entity.is_some_and(|entity| entity.pending.iter().any(waits))
        || state.letters.values().any(|letter| letter.edit.collection == *collection && letter.edit.id == *id)
        || conflicts::any(state, collection.as_str(), id.as_str())
            && conflicts::of(state, collection.as_str(), id.as_str()).iter().any(conflicts::Known::is_open)
}

/// Gives up one entity's document; says whether it could go.
pub(super) fn give_up(state: &mut State, key: u64, collection: &CollectionName, id: &EntityId, seen: Rev) -> bool {
    if is_pinned(state, collection, id, seen) {
        return false;
    }
    let Some(entity) = state.entities.get_mut(collection).and_then(|table| table.get_mut(id.as_str())) else {
        return true;
    };
    if entity.confirmed.take().is_some() {
        entity.position = key;
        state.dirty.entities.push((collection.clone(), id.clone()));
    }
    state.drop_if_empty(collection, id);
    true
}

/// A row that the server changed does not match any more.
#[inline(never)]
pub(super) fn left(state: &mut State, key: u64, row: Change, effects: &mut Effects) {
    let Change { id, c, rev, .. } = row;
    let confirmed = state.entity(c.as_str(), id.as_str()).and_then(|entity| entity.confirmed.as_ref());
    if confirmed.is_some_and(|confirmed| rev < confirmed.rev) {
        return;
    }
    if give_up(state, key, &c, &id, rev) {
        effects.touched.push((c, id));
    } else {
        effects.stale.push((c, id));
    }
}

#[inline(never)]
pub(super) fn evict(state: &mut State, key: u64, evict: Evict, effects: &mut Effects) {
    for id in evict.ids {
        let entity = state.entity(evict.c.as_str(), id.as_str());
        let is_meant = |entity: &Entity| evict.upto == 0 || entity.position <= evict.upto;
        if !entity.is_some_and(|entity| entity.confirmed.is_some() && is_meant(entity)) {
            continue;
        }
        if !give_up(state, key, &evict.c, &id, 0) {
            // An edit came between. Its segment may be gone already (`replica::room`).
            state.dirty.entities.push((evict.c.clone(), id));
            continue;
        }
        effects.touched.push((evict.c.clone(), id));
    }
    effects.remote = true;
}

#[inline(never)]
pub(super) fn fetched(state: &mut State, key: u64, fetched: Fetched, effects: &mut Effects) {
    let Fetched { at, row, asked, .. } = fetched;
    let (c, id, rev) = (row.c.clone(), row.id.clone(), row.rev);
    effects.remote = true;
    if let Some(asked) = asked {
        aliases::lead(state, key, &c, (&asked, &id), effects);
        effects.fetched.push((c.clone(), asked));
    }
    confirm(state, key, at, row, effects);
    // Of a collection that is not replicated nothing else tells that an edit is in the server's data.
    let pending = state.entity(c.as_str(), id.as_str()).map(|entity| entity.pending.clone()).unwrap_or_default();
    for n in pending {
        if state.queue.get(&n).is_some_and(|entry| matches!(entry.status, Status::Settled(at) if at <= rev))
            && let Some(entry) = state.unqueue(n)
        {
            journal::keep(state, n, &entry, entry.acked);
            effects.echoed.push(entry.edit.target());
        }
    }
    effects.fetched.push((c, id));
}

#[inline(never)]
pub(super) fn used(state: &mut State, used: &Used) {
    for id in &used.ids {
        let entity = state.entities.get_mut(&used.c).and_then(|table| table.get_mut(id.as_str()));
        if let Some(Entity { confirmed: Some(confirmed), .. }) = entity
            && confirmed.used < used.at
        {
            confirmed.used = used.at;
            state.dirty.entities.push((used.c.clone(), id.clone()));
        }
    }
}
