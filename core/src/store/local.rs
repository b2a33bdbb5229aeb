//! Values of local fields in the state: see [`model::local`](crate::model::local).
//!
//! They stay when the server changes the entity, and when it is given up or asked for no more. They go with it: when
//! the server says that it is gone, or when the insert that made it is given up.

use crate::ids::{CollectionName, EntityId, MutationId, Rev};
use crate::json::{self, JsonLimits, Raw};
use crate::model::edit::Edit;
use crate::model::local::apply;
use crate::model::mutation::Kind;
use crate::store::state::{Confirmed, State, Status};

/// Folds an edit of local fields.
#[inline(never)]
pub(super) fn put(state: &mut State, key: u64, edit: &Edit) {
    let row = state.entity_mut(&edit.collection, &edit.id);
    // What a tab puts back from a store that was lost may be older than what was written since.
    if edit.kind == Kind::Insert && row.confirmed.as_ref().is_some_and(|row| row.at > edit.at.0) {
        return;
    }
    let before = row.confirmed.take().and_then(|row| json::parse(row.doc.get().as_bytes(), JsonLimits::MESSAGE).ok());
    let after = apply(before, &edit.mutation());
    row.position = key;
    row.confirmed = after.map(|doc| Confirmed {
        rev: 0,
        at: edit.at.0,
        used: 0,
        groups: Vec::new(),
        doc: Raw::trusted(json::write_text(&doc)),
    });
    state.drop_if_empty(&edit.collection, &edit.id);
    state.dirty.entities.push(edit.target());
}

/// Whether an edit that the server's data does not contain at `rev` makes the entity: its values are the new one's.
pub(super) fn is_made_again(state: &State, collection: &CollectionName, id: &EntityId, rev: Rev) -> bool {
    let makes = |n: &MutationId| {
        let entry = state.queue.get(n).filter(|entry| entry.edit.kind == Kind::Insert);
        entry.is_some_and(|entry| !matches!(entry.status, Status::Settled(settled) if settled <= rev))
    };
    state.entity(collection.as_str(), id.as_str()).is_some_and(|entity| entity.pending.iter().any(makes))
}

/// The entity is gone.
pub(super) fn drop(state: &mut State, collection: &CollectionName, id: &EntityId) {
    if state.entities.keys().any(CollectionName::is_local) {
        drop_row(state, collection, id);
    }
}

#[inline(never)]
fn drop_row(state: &mut State, collection: &CollectionName, id: &EntityId) {
    let local = collection.local();
    if let Some(table) = state.entities.get_mut(&local)
        && table.remove(id.as_str()).is_some()
    {
        state.dirty.entities.push((local, id.clone()));
    }
}

/// An edit was given up: if it made the entity, that is gone.
pub(super) fn drop_unmade(state: &mut State, edit: &Edit) {
    if edit.kind == Kind::Insert && state.entity(edit.collection.as_str(), edit.id.as_str()).is_none() {
        drop(state, &edit.collection, &edit.id);
    }
}
