//! Local fields in the app's reads and writes: an edit is divided before it becomes a mutation, and what this device
//! alone has is laid over what all have. No mutation that may leave ever held a local value, nor did its `was`.

use crate::clock::Hlc;
use crate::error::CoreError;
use crate::ids::{CollectionName, EntityId};
use crate::io::Now;
use crate::json::{self, JsonLimits, Map, Raw, Value};
use crate::model::document;
use crate::model::edit::Edit;
use crate::model::insert::insert;
use crate::model::local::{Local, apply};
use crate::model::migration::FIRST;
use crate::model::mutation::{Kind, Mutation};
use crate::model::path::Path;
use crate::replica::Replica;
use crate::replica::op::{Alter, Edits, Op, shape_patch};
use crate::replica::write::Draft;
use crate::view::Seen;

impl Replica {
    pub(crate) fn local(&self, collection: &CollectionName) -> Option<&Local> {
        self.config.locals.get(collection.as_str())
    }

    /// Whether this device has something of an entity that nobody else has.
    pub(crate) fn has_local(&self, collection: &CollectionName, id: &EntityId) -> bool {
        self.local(collection).is_some_and(|Local { collection: own, .. }| {
            self.state.entity(own.as_str(), id.as_str()).is_some() || self.writes.on(own, id).next().is_some()
        })
    }

    fn local_values(&self, local: &Local, id: &EntityId) -> Option<Value> {
        let row = self.state.entity(local.collection.as_str(), id.as_str());
        let row = row.and_then(|entity| entity.confirmed.as_ref());
        let stored = row.and_then(|row| json::parse(row.doc.get().as_bytes(), JsonLimits::MESSAGE).ok());
        self.writes.on(&local.collection, id).fold(stored, |own, edit| apply(own, &edit.mutation()))
    }

    #[inline(never)]
    fn lay_local(&self, collection: &CollectionName, id: &EntityId, doc: &mut Value) {
        let Some(local) = self.local(collection) else { return };
        if let Some(own) = self.local_values(local, id) {
            local.lay(&own, doc);
        }
    }

    /// As the app sees it.
    pub(crate) fn with_local(&self, collection: &CollectionName, id: &EntityId, seen: Option<Seen>) -> Option<Seen> {
        let mut seen = seen?;
        if self.has_local(collection, id) {
            self.lay_local(collection, id, &mut seen.doc);
        }
        Some(seen)
    }

    /// The inverse of a delete brings back what only this device had, too.
    #[inline(never)]
    pub(crate) fn with_local_inverse(&self, inverse: Op) -> Op {
        let Op::Insert { c, id, value } = inverse else { return inverse };
        let mut doc = json::parse(value.get().as_bytes(), JsonLimits::MESSAGE).unwrap_or_default();
        self.lay_local(&c, &id, &mut doc);
        Op::Insert { c, id, value: Raw::trusted(json::write_text(&doc)) }
    }

    /// Divides a change: what all see stays in it, and what is about local fields is returned.
    #[inline(never)]
    pub(crate) fn divide(&self, c: &CollectionName, id: &EntityId, alter: &mut Alter) -> Option<Edits> {
        let local = self.local(c)?;
        let shared = self.see_shared(c, id).map_or_else(|| Value::Object(Map::new()), |seen| seen.doc);
        match alter {
            Alter::Delete(_) => None,
            Alter::Patch(fields) => Some(divide_patch(local, &shared, fields)),
            Alter::Replace(value, _) => {
                let mut shown = shared.clone();
                self.lay_local(c, id, &mut shown);
                Some(divide_value(local, &shared, &shown, value))
            }
        }
    }

    /// Divides a new document: the text of what all see, and what is local in it.
    #[inline(never)]
    pub(crate) fn divide_insert(&self, c: &CollectionName, doc: &str) -> Result<Option<(String, Value)>, CoreError> {
        let Some(local) = self.local(c) else { return Ok(None) };
        let mut doc = json::parse(doc.as_bytes(), JsonLimits::MESSAGE)?;
        let own = local.take(&mut doc);
        Ok(Some((json::write_text(&doc), own)))
    }

    /// The local half of an insert. What an entity of this id left behind does not come back with it.
    #[inline(never)]
    pub(crate) fn insert_local(
        &mut self,
        now: Now,
        draft: &mut Draft,
        c: &CollectionName,
        id: &EntityId,
        own: Value,
    ) -> Result<(), CoreError> {
        let Some(local) = self.local(c).map(|local| local.collection.clone()) else { return Ok(()) };
        let Value::Object(fields) = own else { return Ok(()) };
        if fields.is_empty() && !self.has_local(c, id) {
            return Ok(());
        }
        let mut mutation = Mutation::empty(local, id.clone(), self.state.hlc.tick(now.wall_ms));
        mutation.kind = Kind::Insert;
        for (key, value) in fields {
            mutation.set.insert(Path::of_key(&key)?, value);
        }
        self.take_local(draft, c, mutation, None)
    }

    /// The local half of a change.
    #[inline(never)]
    pub(crate) fn change_local(
        &mut self,
        now: Now,
        draft: &mut Draft,
        c: &CollectionName,
        id: &EntityId,
        fields: Edits,
    ) -> Result<(), CoreError> {
        let Some(local) = self.local(c).cloned() else { return Ok(()) };
        let own = self.local_values(&local, id).unwrap_or_default();
        let mut mutation = Mutation::empty(local.collection, id.clone(), self.state.hlc.tick(now.wall_ms));
        let inverse = shape_patch(&mut mutation, fields, &|path| document::get(&own, path).cloned(), &|_, _| false)?;
        if mutation.paths().next().is_none() {
            return Ok(());
        }
        // Nobody compares.
        mutation.was = Default::default();
        let inverse = match inverse {
            Op::Patch { id, fields, .. } => Op::Patch { c: c.clone(), id, fields },
            other => other,
        };
        self.take_local(draft, c, mutation, Some(inverse))
    }

    /// Where no server says that an entity is gone, its delete does.
    #[inline(never)]
    pub(crate) fn delete_local(&mut self, now: Now, draft: &mut Draft, c: &CollectionName, id: &EntityId) {
        if self.config.url.is_none() && self.has_local(c, id) {
            let mut mutation = Mutation::empty(c.local(), id.clone(), self.state.hlc.tick(now.wall_ms));
            mutation.kind = Kind::Delete;
            self.writes.show(draft, Edit::of(mutation), None);
        }
    }

    fn take_local(
        &mut self,
        draft: &mut Draft,
        c: &CollectionName,
        mutation: Mutation,
        inverse: Option<Op>,
    ) -> Result<(), CoreError> {
        mutation.check()?;
        let Some(local) = self.local(c) else { return Ok(()) };
        let after = apply(self.local_values(local, &mutation.id), &mutation);
        self.must_fit(after)?;
        self.state.hlc = mutation.at;
        self.writes.show(draft, Edit::of(mutation), inverse);
        Ok(())
    }

    /// All that only this device has, as edits that make it anew.
    #[inline(never)]
    pub(crate) fn local_rows(&self) -> Vec<Edit> {
        let mut edits = Vec::new();
        for (collection, table) in self.state.entities.iter().filter(|(name, _)| name.is_local()) {
            edits.extend(table.keys().into_iter().filter_map(|id| self.local_row(collection, id)));
        }
        edits
    }

    /// The same of one entity. `collection` is the one of the local fields.
    pub(crate) fn local_row(&self, collection: &CollectionName, id: &EntityId) -> Option<Edit> {
        let row = self.state.entity(collection.as_str(), id.as_str())?.confirmed.as_ref()?;
        insert(collection, id, row.doc.get(), FIRST, Hlc(row.at, 0), false).ok()
    }
}

fn divide_patch(local: &Local, shared: &Value, fields: &mut Edits) -> Edits {
    let mut own = Edits::default();
    for (path, value) in std::mem::take(&mut fields.set) {
        if local.has(&path) {
            own.set.insert(path, value);
            continue;
        }
        // A value that holds local fields: what all see of them stays as it is.
        let mut whole = Value::Object(Map::new());
        document::set(&mut whole, &path, value);
        for inner in local.paths.iter().filter(|inner| path.covers(inner)) {
            match document::remove(&mut whole, inner) {
                Some(value) => {
                    own.set.insert(inner.clone(), value);
                }
                None => own.unset.push(inner.clone()),
            }
            if let Some(value) = document::get(shared, inner) {
                document::set(&mut whole, inner, value.clone());
            }
        }
        fields.set.insert(path.clone(), document::get(&whole, &path).cloned().unwrap_or_default());
    }
    for path in std::mem::take(&mut fields.unset) {
        if local.has(&path) {
            own.unset.push(path);
        } else {
            own.unset.extend(local.paths.iter().filter(|inner| path.covers(inner)).cloned());
            fields.unset.push(path);
        }
    }
    for (path, amount) in std::mem::take(&mut fields.inc) {
        let list = if local.has(&path) { &mut own.inc } else { &mut fields.inc };
        list.insert(path, amount);
    }
    for (from, to) in [(&mut fields.add, &mut own.add), (&mut fields.remove, &mut own.remove)] {
        for (path, items) in std::mem::take(from) {
            let list = if local.has(&path) { &mut *to } else { &mut *from };
            list.insert(path, items);
        }
    }
    own
}

/// `shared` is what all see of the entity, `shown` what this device shows.
fn divide_value(local: &Local, shared: &Value, shown: &Value, value: &mut Value) -> Edits {
    let mut own = Edits::default();
    for path in &local.paths {
        let wanted = document::remove(value, path);
        if wanted.as_ref() != document::get(shown, path) {
            match wanted {
                Some(wanted) => {
                    own.set.insert(path.clone(), wanted);
                }
                None => own.unset.push(path.clone()),
            }
        }
        if let Some(seen) = document::get(shared, path) {
            document::set(value, path, seen.clone());
        }
    }
    own
}
