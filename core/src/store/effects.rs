//! What a record did to the state, for those who want to know: events, and what the view shows anew.

use crate::ids::{CollectionName, EntityId, MutationId};
use crate::json::{Map, Value, json};
use crate::model::verdict::VerdictItem;
use crate::store::conflicts;

/// What a record did that somebody may want to know.
#[derive(Debug, Default)]
pub struct Effects {
    /// Entities whose view or sync mark may differ now.
    pub touched: Vec<(CollectionName, EntityId)>,
    /// Entities that moved by this device's own edits: the echo of a write is no news from somebody else.
    pub echoed: Vec<(CollectionName, EntityId)>,
    /// Whether `touched` came from the server.
    pub remote: bool,
    /// Verdicts that were taken in.
    pub verdicts: Vec<VerdictItem>,
    /// Events about values of this user that met concurrent ones, and about ids of his that became others'.
    pub met: Vec<Value>,
    /// Whether ids became others'.
    pub remapped: bool,
    /// New dead letters.
    pub rejected: Vec<MutationId>,
    /// Collections whose first pull is complete now.
    pub loaded: Vec<CollectionName>,
    /// A pull is complete: the view stands where the server stood.
    pub pulled: bool,
    /// A reset took effect.
    pub reset: bool,
    /// The server may not know what it acknowledged: it goes up again.
    pub requeued: bool,
    /// Entities that were asked for one by one, and came, or are not there.
    pub fetched: Vec<(CollectionName, EntityId)>,
    /// Entities that stay as they were, though the server changed them: an edit of theirs came between.
    pub stale: Vec<(CollectionName, EntityId)>,
    /// The server's settings are others now: every edit that is not confirmed may show otherwise.
    pub settings: bool,
    /// There are new segments.
    pub sealed: bool,
    /// The store has another replica id now.
    pub forked: bool,
}

impl Effects {
    /// Values of this user met concurrent ones: they lost (`overwritten`), or wait (`open`).
    pub(crate) fn meet(&mut self, collection: &CollectionName, id: &EntityId, how: &str, items: Value) {
        if items.as_array().is_some_and(|items| items.is_empty()) {
            return;
        }
        self.met.push(json!({"type": "conflict", "collection": collection, "id": id, how: items}));
    }

    /// A conflict came that this device did not cause: others did, or the same user elsewhere (rule 19).
    pub(crate) fn meet_conflict(&mut self, before: Option<&Map>, mut now: Map) {
        let changed = |key| before.is_none_or(|before| before.get(key) != now.get(key));
        let Some((collection, id)) = conflicts::target(&now).filter(|_| changed("state") || changed("rounds")) else {
            return;
        };
        match now.get("state").and_then(Value::as_str) {
            Some("open") => self.meet(&collection, &id, "open", json!([now.get("path")])),
            Some("lost") => {
                now.retain(|key, _| ["path", "yours", "kept", "by"].contains(&key.as_str()));
                self.meet(&collection, &id, "overwritten", Value::Array(vec![Value::Object(now)]));
            }
            _ => {}
        }
    }
}
