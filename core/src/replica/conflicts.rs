//! What the app may know of conflicts: those that wait for a decision, and the history of those that were decided.

use crate::ids::{CONFLICTS, CollectionName, EntityId};
use crate::json::{Value, json};
use crate::replica::Replica;
use crate::store::conflicts::{self, Known};
use crate::table::Table;

impl Replica {
    /// Behind `db.sync.conflicts`: one by one as they stand, in the order of entity and time. Those that the server
    /// will drop for their age are among them.
    #[inline(never)]
    pub fn conflicts_view(&self) -> Value {
        let mut all = Vec::new();
        let mut of_one: Vec<Known> = Vec::new();
        for name in self.state.entities.get(CONFLICTS).map(Table::keys).unwrap_or_default() {
            if of_one.iter().all(|known| known.id != *name) {
                of_one = self.conflicts_beside(name).unwrap_or_default();
            }
            for known in of_one.iter().filter(|known| known.id == *name) {
                let mut doc = known.doc.clone();
                let own =
                    doc.get("replica").and_then(Value::as_str) == self.state.replica.as_ref().map(|id| id.as_str());
                doc.insert("id".into(), json!(known.id));
                doc.insert("own".into(), own.into());
                all.push(Value::Object(doc));
            }
        }
        Value::Array(all)
    }

    /// Whether a conflict may be about an entity, so that what is confirmed of it is not what is seen.
    pub(crate) fn has_conflicts(&self, collection: &CollectionName, id: &EntityId) -> bool {
        conflicts::any(&self.state, collection.as_str(), id.as_str())
    }

    /// All conflicts of the entity that one of them is about.
    fn conflicts_beside(&self, name: &EntityId) -> Option<Vec<Known>> {
        let row = self.state.entity(CONFLICTS, name.as_str())?.confirmed.as_ref()?;
        let (collection, id) = conflicts::target(&conflicts::read(row.doc.get())?)?;
        let of_gone = || conflicts::of(&self.state, collection.as_str(), id.as_str());
        Some(self.see(&collection, &id).map_or_else(of_gone, |seen| seen.conflicts))
    }
}
