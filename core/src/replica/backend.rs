//! What a peer that runs in this tab needs of the engine: an app's own backend behind this protocol
//! (`docs/decisions/0010`). It keeps nothing of its own; what it must know after a reload is what the log holds.

use crate::ids::{CollectionName, EntityId};
use crate::json;
use crate::json::{Fields, JsonLimits, Value};
use crate::model::schema::{Settings, read_settings};
use crate::replica::Replica;
use crate::store::state::Status;

/// A message between tabs that begins so declares collections.
const DECLARE: &str = "declare ";

impl Replica {
    /// The confirmed state of some entities, `null` where there is none. Of none: the highest revision that any verdict
    /// or cursor of the peer has named.
    pub(crate) fn confirmed(&self, collection: &CollectionName, ids: &[EntityId]) -> Value {
        if ids.is_empty() {
            return json!({"seq": self.highest_rev()});
        }
        let mut rows = Vec::new();
        for id in ids {
            let entity = self.state.entity(collection.as_str(), id.as_str());
            rows.push(entity.and_then(|entity| entity.confirmed.as_ref()).map_or(Value::Null, |row| {
                let doc = json::parse(row.doc.get().as_bytes(), JsonLimits::MESSAGE).unwrap_or_default();
                json!({"rev": row.rev, "at": row.at, "g": row.groups, "doc": doc})
            }));
        }
        json!({"rows": rows})
    }

    fn highest_rev(&self) -> u64 {
        let mut seq = self.state.cursor.as_ref().map_or(0, |cursor| cursor.seq);
        seq = self.state.staged.cursor.as_ref().map_or(seq, |cursor| cursor.seq.max(seq));
        for (_, entry) in self.state.queue.iter() {
            if let Status::Settled(rev) = entry.status {
                seq = seq.max(rev);
            }
        }
        seq
    }

    /// Keeps and syncs more collections, or settles their conflicts in another way, here and in the tab that leads.
    pub(crate) fn declare(&mut self, collections: &Settings) -> Value {
        self.tell_all(&format!("{DECLARE}{}", json::to_text(&json!({"collections": collections}))))
    }

    /// What another tab, or this one, declared; anything else is not understood.
    pub(crate) fn take_declaration(&mut self, message: &str) {
        let text = message.strip_prefix(DECLARE).unwrap_or_default();
        let value = json::parse(text.as_bytes(), JsonLimits::MESSAGE).unwrap_or_default();
        if let Ok(collections) = Fields::of(&value).and_then(|fields| read_settings(&fields, "collections")) {
            self.declared.extend(collections);
            // What waits may show otherwise now.
            self.watches.forget_rows();
            self.pulling.wanted = true;
        }
    }
}
