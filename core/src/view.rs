//! What the app sees: the confirmed document with the pending mutations replayed on it.
//!
//! Server data never overwrites a pending edit, and one's own reads never go backwards: an edit stays in the view
//! until the server's data that contains it is shown, or until it is rejected.

use crate::ids::Rev;
use crate::json::{self, JsonLimits, Value};
use crate::merge::predict;
use crate::model::mutation::Mutation;
use crate::model::schema::CollectionSettings;
use crate::store::state::{Entity, State};

/// An entity as the app sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The document without its id.
    pub doc: Value,
    /// The confirmed revision; 0 if the server has none yet.
    pub rev: Rev,
    /// When it last changed, in milliseconds since 1970.
    pub at: u64,
}

/// The confirmed document, the pending mutations on it, and then the provisional ones, which are in no log yet.
pub fn see<'a>(
    state: &'a State,
    settings: &CollectionSettings,
    entity: Option<&'a Entity>,
    provisional: impl Iterator<Item = &'a Mutation>,
) -> Option<Seen> {
    let confirmed = entity.and_then(|entity| entity.confirmed.as_ref());
    let rev = confirmed.map_or(0, |confirmed| confirmed.rev);
    let mut at = confirmed.map_or(0, |confirmed| confirmed.at);
    // Bytes in the store went through the one door for JSON when they arrived.
    let mut doc: Option<Value> = confirmed.and_then(|confirmed| json::parse(&confirmed.doc, JsonLimits::MESSAGE).ok());
    let pending = entity.into_iter().flat_map(|entity| &entity.pending);
    let queued = pending.filter_map(|n| state.queue.get(n)).map(|entry| &entry.mutation);
    for mutation in queued.chain(provisional) {
        at = at.max(mutation.at.0);
        doc = predict(doc, rev, mutation, settings);
    }
    doc.map(|doc| Seen { doc, rev, at })
}
