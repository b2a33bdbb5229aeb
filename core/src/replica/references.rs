//! Fields that hold ids of other entities, where such an id became another's: the device shows and looks for that one.
//!
//! What the server sends has the ids of today; what waits to be sent, and what the app asks for, may have old ones.

use crate::ids::{CollectionName, EntityId};
use crate::json::{Value, json};
use crate::model::document;
use crate::model::path::Path;
use crate::query::ast::{Field, Query};
use crate::replica::Replica;

impl Replica {
    /// The references of a collection, if any may be an alias.
    fn references(&self, collection: &CollectionName) -> &[(Path, CollectionName)] {
        let known = self.config.refs.get(collection.as_str()).filter(|_| self.state.has_aliases());
        known.map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether an edit that waits may name an entity by an old id.
    pub(crate) fn may_refer_to_aliases(&self, collection: &CollectionName) -> bool {
        !self.references(collection).is_empty()
    }

    /// Lets a document refer to the entities of today.
    pub(crate) fn resolve_references(&self, collection: &CollectionName, doc: &mut Value) {
        for (path, to) in self.references(collection) {
            if let Some(id) = document::get(doc, path).and_then(|value| self.of_today_as_text(to, value)) {
                document::set(doc, path, id);
            }
        }
    }

    /// Lets a query ask for the entities of today.
    pub(crate) fn resolve_query(&self, query: &mut Query) {
        if !self.state.has_aliases() {
            return;
        }
        let (collection, references) = (query.collection.clone(), self.references(&query.collection));
        query.each_text(&mut |field, value| {
            let to = match field {
                Field::Id => Some(&collection),
                Field::Path(path) => references.iter().find(|(of, _)| of == path).map(|(_, to)| to),
                _ => None,
            };
            if let Some(id) = to.and_then(|to| self.of_today_as_text(to, value)) {
                *value = id;
            }
        });
    }

    fn of_today_as_text(&self, collection: &CollectionName, id: &Value) -> Option<Value> {
        let id = EntityId::parse(id.as_str()?).ok()?;
        Some(self.state.alias(collection, &id)?.as_str().into())
    }

    /// Ids became others': what waits may refer to them, and kept queries may ask for them.
    #[inline(never)]
    pub(crate) fn refer_anew(&mut self) {
        let mut watches = std::mem::take(&mut self.watches);
        for name in self.declared.keys() {
            watches.change(name, &|query| self.resolve_query(query));
        }
        self.watches = watches;
        let names: Vec<CollectionName> = self.config.refs.keys().cloned().collect();
        for name in names {
            let waiting = self.state.queue.values().filter(|entry| entry.edit.collection == name);
            let targets: Vec<EntityId> = waiting.map(|entry| entry.edit.id.clone()).collect();
            for id in &targets {
                self.touch(&name, id, false);
            }
            if self.maintenance.opened {
                self.event(json!({"type": "changed", "collection": name, "ids": targets, "origin": "local"}));
            }
        }
    }
}
