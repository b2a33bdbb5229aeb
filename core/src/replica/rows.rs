//! Reads: an entity as the app sees it, and its row.

use crate::ids::{CollectionName, EntityId, Rev};
use crate::json;
use crate::json::{JsonLimits, Map, Value};
use crate::model::edit::Edit;
use crate::model::insert::{insert_fields, path_in_insert};
use crate::model::mutation::Kind;
use crate::model::path::Path;
use crate::replica::Replica;
use crate::replica::status::no_room;
use crate::store::state::{Confirmed, Entity, Status};
use crate::store::texts;
use crate::view::{Seen, see};

impl Replica {
    /// An entity as the app sees it.
    pub(crate) fn see(&self, collection: &CollectionName, id: &EntityId) -> Option<Seen> {
        match &self.watches.foreseen {
            Some(known) if known.id == *id && known.collection == *collection => {
                debug_assert_eq!(
                    Some(&known.seen),
                    self.see_anew(collection, id).as_ref(),
                    "both ways lead to the same"
                );
                Some(known.seen.clone())
            }
            _ => self.see_anew(collection, id),
        }
    }

    /// The same from what it is made of.
    fn see_anew(&self, collection: &CollectionName, id: &EntityId) -> Option<Seen> {
        self.with_local(collection, id, self.see_shared(collection, id))
    }

    /// An entity without what only this device has of it.
    pub(crate) fn see_shared(&self, collection: &CollectionName, id: &EntityId) -> Option<Seen> {
        let provisional = self.writes.on(collection, id);
        let mut seen = see(&self.state, self.settings(collection.as_str()), collection, id, provisional);
        if let Some(seen) = &mut seen {
            self.resolve_references(collection, &mut seen.doc);
        }
        seen
    }

    /// One row as JSON text, under any id that it had.
    pub fn row(&self, collection: &CollectionName, id: &EntityId) -> Option<String> {
        let other = self.state.alias(collection, id);
        let id = other.as_ref().unwrap_or(id);
        self.note_use(collection, id);
        let text = self.plain_row(collection, id);
        debug_assert!(
            text.as_ref().is_none_or(|text| {
                let read = |text: &str| json::parse(text.as_bytes(), JsonLimits::MESSAGE);
                self.seen_row(collection, id).is_some_and(|seen| read(&seen) == read(text))
            }),
            "both ways to a row lead to the same"
        );
        text.or_else(|| self.seen_row(collection, id))
    }

    /// Rows in the order of `ids`. Those of one packed text are read one after the other.
    pub fn rows(&mut self, collection: &CollectionName, ids: &[EntityId]) -> Vec<Option<String>> {
        let order = self.in_order(collection, ids);
        let mut rows: Vec<Option<String>> = ids.iter().map(|_| None).collect();
        for at in order {
            if let (Some(row), Some(id)) = (rows.get_mut(at), ids.get(at)) {
                *row = self.row(collection, id);
                self.pack_again();
            }
        }
        rows
    }

    /// The places of ids, those of one packed text one after the other, once the code for that is there.
    pub(crate) fn in_order(&self, collection: &CollectionName, ids: &[EntityId]) -> Vec<usize> {
        if self.whole && self.state.texts.has_packed() {
            return texts::in_order(&self.state, collection, ids);
        }
        (0..ids.len()).collect()
    }

    fn seen_row(&self, collection: &CollectionName, id: &EntityId) -> Option<String> {
        let seen = self.see(collection, id)?;
        let mut row = Map::new();
        row.insert("id".into(), Value::String(id.to_string()));
        let status = self.sync_status(collection, id, seen.is_in_conflict());
        if let Value::Object(doc) = seen.doc {
            row.extend(doc);
        }
        row.insert("$sync".into(), self.sync_mark(collection, id, status, seen.at));
        row.insert("$rev".into(), seen.rev.into());
        row.insert("$updatedAt".into(), seen.at.into());
        String::from_utf8(json::write(&Value::Object(row))).ok()
    }

    /// An entity of which nothing has to be worked out, if it is one.
    pub(crate) fn plain<'a>(
        &'a self,
        collection: &CollectionName,
        id: &EntityId,
        entity: Option<&'a Entity>,
    ) -> Option<Plain<'a>> {
        self.plain_shared(collection, id, entity).filter(|_| !self.has_local(collection, id))
    }

    pub(crate) fn plain_shared<'a>(
        &'a self,
        collection: &CollectionName,
        id: &EntityId,
        entity: Option<&'a Entity>,
    ) -> Option<Plain<'a>> {
        let pending = entity.into_iter().flat_map(|entity| &entity.pending).filter_map(|n| self.state.queue.get(n));
        let mut edits = pending.map(|entry| &entry.edit).chain(self.writes.on(collection, id));
        let plain = match (entity.and_then(|entity| entity.confirmed.as_ref()), edits.next()) {
            (Some(confirmed), None) => Plain::Confirmed(confirmed),
            (None, Some(edit)) if edit.kind == Kind::Insert && !self.may_refer_to_aliases(collection) => {
                Plain::Insert(edit)
            }
            _ => return None,
        };
        (edits.next().is_none() && !self.has_conflicts(collection, id)).then_some(plain)
    }

    /// Its row: the text of its document, or of its fields, is there already.
    fn plain_row(&self, collection: &CollectionName, id: &EntityId) -> Option<String> {
        let plain = self.plain(collection, id, self.state.entity(collection.as_str(), id.as_str()))?;
        let mut row = String::from("{\"id\":");
        json::write_string(id.as_str(), &mut row);
        let (rev, at) = match plain {
            Plain::Confirmed(confirmed) => {
                let doc = confirmed.doc.get().strip_prefix('{')?.strip_suffix('}')?;
                if !doc.is_empty() {
                    row.push(',');
                    row.push_str(doc);
                }
                (confirmed.rev, confirmed.at)
            }
            Plain::Insert(insert) => {
                insert_fields(insert.raw.get(), &mut row);
                (0, insert.at.0)
            }
        };
        // What is marked stands last, so that JavaScript takes it, whatever the document holds.
        row.push_str(",\"$sync\":");
        let at = json::to_text(&at);
        match self.sync_status(collection, id, false) {
            "pending" => row.push_str("{\"status\":\"pending\"}"),
            "synced" => {
                row.push_str("{\"status\":\"synced\",\"syncedAt\":");
                row.push_str(&at);
                row.push('}');
            }
            status => row.push_str(&json::write_text(&self.sync_mark(collection, id, status, 0))),
        }
        for part in [",\"$rev\":", &json::to_text(&rev), ",\"$updatedAt\":", &at, "}"] {
            row.push_str(part);
        }
        Some(row)
    }

    fn sync_mark(&self, collection: &CollectionName, id: &EntityId, status: &str, at: u64) -> Value {
        match status {
            "failed" => {
                let letter = self.state.letters.values().find(|l| &l.edit.collection == collection && &l.edit.id == id);
                let error = letter.map_or_else(no_room, |letter| json!(letter.reason));
                json!({"status": status, "error": error})
            }
            "synced" => json!({"status": status, "syncedAt": at}),
            _ => json!({"status": status}),
        }
    }

    pub(crate) fn sync_status(&self, collection: &CollectionName, id: &EntityId, conflict: bool) -> &'static str {
        let failed = self.state.letters.values().any(|l| &l.edit.collection == collection && &l.edit.id == id);
        let entity = self.state.entity(collection.as_str(), id.as_str());
        let mut pending = entity.into_iter().flat_map(|entity| &entity.pending).filter_map(|n| self.state.queue.get(n));
        if failed || self.writes.refused.has(collection, id) {
            "failed"
        } else if conflict {
            "conflict"
        } else if pending.any(|entry| !matches!(entry.status, Status::Settled(_)))
            || self.writes.on(collection, id).next().is_some()
        {
            "pending"
        } else {
            "synced"
        }
    }
}

/// See [`Replica::plain`].
pub(crate) enum Plain<'a> {
    /// What the server has, and nothing on it.
    Confirmed(&'a Confirmed),
    /// An insert, and nothing else.
    Insert(&'a Edit),
}

impl Plain<'_> {
    pub(crate) fn rev(&self) -> Rev {
        if let Self::Confirmed(confirmed) = self { confirmed.rev } else { 0 }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Confirmed(confirmed) => confirmed.doc.get().len(),
            Self::Insert(edit) => edit.raw.get().len(),
        }
    }

    pub(crate) fn value(&self, path: &Path) -> Option<Value> {
        let text = match self {
            Self::Confirmed(confirmed) => json::at(confirmed.doc.get(), path.segments())?,
            Self::Insert(edit) => json::at(edit.raw.get(), path_in_insert(path))?,
        };
        json::parse(text.as_bytes(), JsonLimits::MESSAGE).ok()
    }
}
