//! What a device knows of conflicts: rows of the collection [`CONFLICTS`], found by the entity that they are about.
//!
//! Where there are none, which is nearly always, looking for them costs nothing. They are read as plain JSON: this is
//! in every download.

use crate::ids::{CONFLICTS, CollectionName, EntityId};
use crate::json::{self, JsonLimits, Map, Raw, Value};
use crate::model::conflict::prefix;
use crate::model::path::Path;
use crate::store::state::State;

/// A conflict that this device knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// Its id.
    pub id: EntityId,
    /// The field.
    pub path: Path,
    /// Everything, as a [`Conflict`](crate::model::conflict::Conflict) is written.
    pub doc: Map,
}

impl Known {
    /// Whether it is in that state.
    pub fn is(&self, state: &str) -> bool {
        is(&self.doc, "state", state)
    }

    /// Whether it waits for its author.
    pub fn is_open(&self) -> bool {
        self.is("open")
    }

    pub(crate) fn value(&self, key: &str) -> Option<Value> {
        self.doc.get(key).cloned()
    }

    pub(crate) fn put(&mut self, key: &str, value: Option<Value>) {
        self.doc.remove(key);
        if let Some(value) = value {
            self.doc.insert(key.to_owned(), value);
        }
    }

    pub(crate) fn move_to(&mut self, state: &str) {
        self.put("state", Some(state.into()));
    }
}

/// This user's conflicts of one entity, in the order of time.
pub fn of(state: &State, collection: &str, id: &str) -> Vec<Known> {
    let mut found = Vec::new();
    let (Some(table), Some(owner)) = (state.entities.get(CONFLICTS), &state.owner) else { return found };
    let prefix = prefix(collection, id);
    for (name, entity) in table.run_from(prefix.as_str(), &|name| name.as_str().starts_with(&prefix)) {
        let Some(doc) = entity.confirmed.as_ref().and_then(|row| read(row.doc.get())) else { continue };
        // Two entities may share a prefix.
        if !(is(&doc, "c", collection) && is(&doc, "e", id) && is(&doc, "subject", &owner.subject)) {
            continue;
        }
        if let Some(Ok(path)) = doc.get("path").map(Path::read) {
            found.push(Known { id: name.clone(), path, doc });
        }
    }
    found
}

/// Whether there may be any of this entity.
pub(crate) fn any(state: &State, collection: &str, id: &str) -> bool {
    let Some(table) = state.entities.get(CONFLICTS) else { return false };
    let prefix = prefix(collection, id);
    !table.run_from(prefix.as_str(), &|name| name.as_str().starts_with(&prefix)).is_empty()
}

fn is(doc: &Map, key: &str, text: &str) -> bool {
    doc.get(key).and_then(Value::as_str) == Some(text)
}

/// The fields of a conflict's row.
pub(crate) fn read(doc: &str) -> Option<Map> {
    match json::parse(doc.as_bytes(), JsonLimits::MESSAGE) {
        Ok(Value::Object(map)) => Some(map),
        _ => None,
    }
}

/// The entity that a conflict is about.
pub(crate) fn target(doc: &Map) -> Option<(CollectionName, EntityId)> {
    Some((CollectionName::read(doc.get("c")?).ok()?, EntityId::read(doc.get("e")?).ok()?))
}

/// The user may no longer see the entity: what others wrote there is erased from its conflicts (rule 28). One's own
/// values stay.
pub(crate) fn blind(state: &mut State, position: u64, collection: &CollectionName, id: &EntityId) {
    for mut known in of(state, collection.as_str(), id.as_str()) {
        for field in ["base", "kept", "by"] {
            known.put(field, None);
        }
        let own = CollectionName::of_conflicts();
        let row = state.entity_mut(&own, &known.id);
        row.position = position;
        if let Some(confirmed) = &mut row.confirmed {
            confirmed.doc = Raw::trusted(json::write_text(&Value::Object(known.doc)));
        }
        state.dirty.entities.push((own, known.id));
    }
}
