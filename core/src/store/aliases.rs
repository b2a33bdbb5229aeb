//! Ids that became another's, as the server says of an insert (`remap`): which entity an id stands for on this device.
//!
//! As on the server they are rows beside the entities, in a collection that nobody can name (`docs/decisions/0036`): so
//! they are sealed, loaded and cleaned as these are. What is queued keeps its bytes; which entity it is about is worked
//! out when it is folded.
//!
//! The invariant: an alias leads to its entity in one step, and its id is nobody's.

use crate::ids::{CollectionName, EntityId};
use crate::json;
use crate::json::{JsonLimits, Raw};
use crate::model::edit::Edit;
use crate::model::verdict::VerdictItem;
use crate::planted::Bug;
use crate::store::effects::Effects;
use crate::store::state::{Confirmed, Entity, State};

impl State {
    /// The entity that an id stands for, if that is another's.
    pub fn alias(&self, collection: &CollectionName, id: &EntityId) -> Option<EntityId> {
        // Most stores have none.
        if !self.has_aliases() {
            return None;
        }
        leads_to(self.entity(collection.aliases().as_str(), id.as_str())?)
    }

    pub(crate) fn has_aliases(&self) -> bool {
        self.entities.keys().next().is_some_and(CollectionName::is_aliases)
    }

    /// An edit, as one of the entity that its id stands for.
    pub(super) fn stand_in(&self, edit: Edit) -> Edit {
        let to = self.alias(&edit.collection.shown(), edit.written());
        edit.standing_for(to.as_ref())
    }
}

fn leads_to(row: &Entity) -> Option<EntityId> {
    let doc = json::parse(row.confirmed.as_ref()?.doc.get().as_bytes(), JsonLimits::MESSAGE).ok()?;
    EntityId::read(doc.get("to")?).ok()
}

/// The server says that the entity that was inserted as one is another: so it is here, with all that waits.
#[inline(never)]
pub(super) fn learn(state: &mut State, key: u64, item: &VerdictItem, effects: &mut Effects) {
    let edit = state.queue.get(&item.n).map(|entry| entry.edit.clone());
    let Some((edit, (from, to))) = edit.zip(item.verdict.remap()) else { return };
    // What is said of another id than the edit's is none of its business.
    if *edit.written() == from && !Bug::RemapNotTaken.is_planted() {
        lead(state, key, &edit.collection, (&from, &to), effects);
    }
}

/// From here on `from` stands for `to`.
#[inline(never)]
pub(super) fn lead(
    state: &mut State,
    key: u64,
    collection: &CollectionName,
    (from, to): (&EntityId, &EntityId),
    effects: &mut Effects,
) {
    if from == to || state.alias(collection, from).as_ref() == Some(to) {
        return;
    }
    drop_row(state, key, &collection.aliases(), to);
    let table = state.entities.get(&collection.aliases());
    let mut led = table.map_or_else(Vec::new, |table| {
        let ids = table.keys().into_iter().cloned();
        ids.filter(|id| table.get(id.as_str()).and_then(leads_to).as_ref() == Some(from)).collect()
    });
    led.push(from.clone());
    for id in &led {
        let doc = Raw::trusted(json::write_text(&json!({"to": to})));
        let row = state.entity_mut(&collection.aliases(), id);
        row.position = key;
        row.confirmed = Some(Confirmed { rev: 0, at: 0, used: 0, groups: Vec::new(), doc });
        state.dirty.entities.push((collection.aliases(), id.clone()));
    }
    move_edits(state, key, collection, &mut |edit| {
        led.contains(edit.written()).then(|| to.clone()).filter(|to| *to != edit.id)
    });
    let local = collection.local();
    if let Some(row) = state.entities.get_mut(&local).and_then(|table| table.remove(from.as_str()))
        && state.entity(local.as_str(), to.as_str()).is_none()
    {
        *state.entity_mut(&local, to) = Entity { position: key, ..row };
        state.dirty.entities.extend([(local.clone(), from.clone()), (local, to.clone())]);
    }
    for id in [from, to] {
        effects.touched.push((collection.clone(), id.clone()));
    }
    effects.remapped = true;
    effects.met.push(json!({"type": "remap", "collection": collection, "from": from, "to": to}));
}

/// The server has another history: which ids became one is decided anew.
pub(super) fn forget(state: &mut State, key: u64) {
    let names: Vec<CollectionName> = state.entities.keys().filter(|name| name.is_aliases()).cloned().collect();
    for name in names {
        let ids: Vec<EntityId> =
            state.entities.get(&name).into_iter().flat_map(|table| table.keys()).cloned().collect();
        for id in ids {
            drop_row(state, key, &name, &id);
        }
    }
    let collections: Vec<CollectionName> = state.entities.keys().filter(|name| !name.is_reserved()).cloned().collect();
    for collection in collections {
        move_edits(state, key, &collection, &mut |edit| edit.alias.clone());
    }
}

fn drop_row(state: &mut State, key: u64, aliases: &CollectionName, id: &EntityId) {
    let row = state.entity_mut(aliases, id);
    row.position = key;
    if row.confirmed.take().is_some() {
        state.dirty.entities.push((aliases.clone(), id.clone()));
    }
    state.drop_if_empty(aliases, id);
}

/// Edits and dead letters of a collection become another entity's, where there is one.
fn move_edits(
    state: &mut State,
    key: u64,
    collection: &CollectionName,
    other: &mut dyn FnMut(&Edit) -> Option<EntityId>,
) {
    let mut moved = Vec::new();
    for (n, entry) in state.queue.iter_mut().filter(|(_, entry)| entry.edit.collection == *collection) {
        if let Some(to) = other(&entry.edit) {
            let before = entry.edit.clone();
            entry.edit = before.of_another(&to);
            entry.position = key;
            moved.push((*n, before));
        }
    }
    for (n, letter) in state.letters.iter_mut().filter(|(_, letter)| letter.edit.collection == *collection) {
        if let Some(to) = other(&letter.edit) {
            letter.edit = letter.edit.of_another(&to);
            letter.position = key;
            state.dirty.mutations.push(*n);
        }
    }
    for (n, before) in moved {
        state.dirty.mutations.push(n);
        let is_shown =
            state.entity(before.collection.as_str(), before.id.as_str()).is_some_and(|e| e.pending.contains(&n));
        let Some(edit) = state.queue.get(&n).map(|entry| entry.edit.clone()).filter(|_| is_shown) else { continue };
        state.hide(n, &before);
        state.pend(&edit, n);
        state.entity_mut(&edit.collection, &edit.id).pending.sort_unstable();
    }
}
