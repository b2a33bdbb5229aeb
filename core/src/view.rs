//! What the app sees: the confirmed document with this user's values that wait for a decision on it, and then the
//! pending mutations replayed.
//!
//! Server data never overwrites a pending edit, and one's own reads never go backwards: an edit stays in the view
//! until the server's data that contains it is shown, or until it is rejected.

use crate::ids::{CollectionName, EntityId, Rev};
use crate::json::{self, JsonLimits, Value};
use crate::merge::predict;
use crate::model::alias::merge_into;
use crate::model::document;
use crate::model::edit::Edit;
use crate::model::mutation::{Kind, Mutation};
use crate::model::path::Path;
use crate::model::schema::CollectionSettings;
use crate::store::conflicts::{self, Known};
use crate::store::state::State;

/// An entity as the app sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The document without its id.
    pub doc: Value,
    /// The confirmed revision; 0 if the server has none yet.
    pub rev: Rev,
    /// When it last changed, in milliseconds since 1970.
    pub at: u64,
    /// This user's conflicts of it, as they stand once the pending mutations are through: of an open one `yours` is
    /// what the document shows, and `kept` what it would show without it.
    pub conflicts: Vec<Known>,
}

/// The confirmed document, the open conflicts, the pending mutations on it, and then the provisional ones, which are in
/// no log yet.
pub fn see<'a>(
    state: &'a State,
    settings: &CollectionSettings,
    collection: &CollectionName,
    id: &EntityId,
    provisional: impl Iterator<Item = &'a Edit>,
) -> Option<Seen> {
    let entity = state.entity(collection.as_str(), id.as_str());
    let confirmed = entity.and_then(|entity| entity.confirmed.as_ref());
    let rev = confirmed.map_or(0, |confirmed| confirmed.rev);
    let mut at = confirmed.map_or(0, |confirmed| confirmed.at);
    // Bytes in the store went through the one door for JSON when they arrived.
    let mut doc = confirmed.and_then(|confirmed| json::parse(confirmed.doc.get().as_bytes(), JsonLimits::MESSAGE).ok());
    let mut conflicts = conflicts::of(state, collection.as_str(), id.as_str());
    for known in conflicts.iter_mut().filter(|known| known.is_open()) {
        known.put("kept", value(&doc, &known.path));
    }
    for known in conflicts.iter().filter(|known| known.is_open()) {
        place(&mut doc, &known.path, known.value("yours"));
    }
    let pending = entity.into_iter().flat_map(|entity| &entity.pending);
    let queued = pending.filter_map(|n| state.queue.get(n)).map(|entry| &entry.edit);
    for edit in queued.chain(provisional) {
        let mutation = &*edit.mutation();
        at = at.max(mutation.at.0);
        // What a mutation decides is not part of the document that it was made against.
        for known in conflicts.iter_mut().filter(|known| mutation.resolves.contains(&known.id)) {
            decide(known, &mut doc);
        }
        doc = match doc {
            // It became an edit of what was there.
            Some(doc) if edit.alias.is_some() && edit.kind == Kind::Insert => merged(doc, rev, mutation, settings),
            doc => predict(doc, rev, mutation, settings),
        };
        for known in conflicts.iter_mut().filter(|known| mutation.reopens.contains(&known.id)) {
            reopen(known, &mut doc);
        }
    }
    for known in conflicts.iter_mut().filter(|known| known.is_open()) {
        // An edit of a path that waits joined what waits there (rule 17).
        known.put("yours", value(&doc, &known.path));
    }
    doc.map(|doc| Seen { doc, rev, at, conflicts })
}

#[inline(never)]
fn merged(doc: Value, rev: Rev, insert: &Mutation, settings: &CollectionSettings) -> Option<Value> {
    predict(Some(doc), rev, &merge_into(insert.id.clone(), insert), settings)
}

fn decide(known: &mut Known, doc: &mut Option<Value>) {
    if known.is_open() {
        known.put("yours", value(doc, &known.path));
        place(doc, &known.path, known.value("kept"));
    } else if known.is("lost") {
        known.put("lost", Some(true.into()));
    }
    known.move_to("closed");
}

fn reopen(known: &mut Known, doc: &mut Option<Value>) {
    if known.doc.contains_key("lost") {
        known.move_to("lost");
    } else if !known.is_open() {
        known.put("kept", value(doc, &known.path));
        place(doc, &known.path, known.value("yours"));
        known.move_to("open");
    }
}

impl Seen {
    /// Whether something of it waits for the user's decision.
    pub fn is_in_conflict(&self) -> bool {
        self.conflicts.iter().any(Known::is_open)
    }

    /// Shows what there would be without the user's values in these conflicts, as far as they are open.
    pub fn leave_out(&mut self, ids: &[EntityId]) {
        let mut doc = Some(std::mem::take(&mut self.doc));
        for known in self.conflicts.iter().filter(|known| known.is_open() && ids.contains(&known.id)) {
            place(&mut doc, &known.path, known.value("kept"));
        }
        self.doc = doc.unwrap_or_default();
    }
}

fn value(doc: &Option<Value>, path: &Path) -> Option<Value> {
    document::get(doc.as_ref()?, path).cloned()
}

/// Puts a value at a path, or none; what does not fit there is left out.
fn place(doc: &mut Option<Value>, path: &Path, value: Option<Value>) {
    let Some(doc) = doc else { return };
    match value {
        Some(value) => {
            document::set(doc, path, value);
        }
        None => {
            document::remove(doc, path);
        }
    }
}
