//! Conflicts as readers see them: their author his own, and whoever may see an entity all of its history.
//!
//! Invariant: what others wrote is told only to who may see the entity now (rule 27).

use rusqlite::{OptionalExtension, params};
use tidewire_core::authority::groups::blind;
use tidewire_core::ids::{CONFLICTS, CollectionName, EntityId, Group};
use tidewire_core::json::{self, Value};
use tidewire_core::model::conflict::{Conflict, prefix};
use tidewire_core::model::path::Path;

use super::read::Snapshot;
use super::rows::{behind, from_json};
use crate::policy::Viewer;
use crate::store::StoreError;

impl Snapshot<'_> {
    /// The document of a conflict for its author, without what others wrote where he may not see it; `None`: as it is.
    pub(super) fn conflict_for(&self, viewer: Viewer<'_>, doc: &str) -> Result<Option<String>, StoreError> {
        let mut doc: Value = from_json(doc)?;
        let name = |key: &str| doc.get(key).and_then(Value::as_str).unwrap_or_default();
        let (collection, id, path) = (name("c"), name("e"), Path::parse(name("path")));
        let about: Option<(String, String)> = self
            .connection
            .prepare_cached("SELECT groups, doc FROM entities WHERE tenant = ?1 AND collection = ?2 AND id = ?3")?
            .query_row(params![viewer.tenant(), collection, id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let holders: Vec<Group> = about.as_ref().map_or(Ok(Vec::new()), |(groups, _)| from_json(groups))?;
        let (Some((_, entity)), false) = (&about, viewer.sees(&holders).is_empty()) else {
            blind(&mut doc);
            return Ok(Some(json::write_text(&doc)));
        };
        if !viewer.policy.conceals(collection) {
            return Ok(None);
        }
        let mask = match EntityId::parse(id) {
            Ok(id) => viewer.mask(collection, &id, &from_json(entity)?),
            Err(_) => None,
        };
        let (Some(mask), Ok(path), Some(fields)) = (mask, path, doc.as_object_mut()) else { return Ok(None) };
        for key in ["base", "kept"] {
            if let Some(value) = mask.value(&path, fields.remove(key)) {
                fields.insert(key.to_owned(), value);
            }
        }
        if let Some(own) = mask.own(&path, fields.remove("yours")) {
            fields.insert("yours".to_owned(), own);
        }
        if mask.hides(&path) {
            fields.remove("by");
        }
        Ok(Some(json::write_text(&doc)))
    }

    /// All conflicts of an entity under any of its ids, the newest last, if their viewer may see it and it is not
    /// deleted.
    pub fn conflicts(
        &self,
        viewer: Viewer<'_>,
        collection: &CollectionName,
        id: EntityId,
    ) -> Result<Option<Vec<(String, Conflict)>>, StoreError> {
        let id = self.resolve(viewer.tenant(), collection, id)?;
        let Some(entity) = self.document(viewer.tenant(), collection, &id)? else { return Ok(None) };
        if self.entity(viewer, collection, &id)?.is_none() {
            return Ok(None);
        }
        let mask = viewer.mask(collection.as_str(), &id, &entity).unwrap_or_default();
        let begin = prefix(collection.as_str(), id.as_str());
        let mut statement = self.connection.prepare_cached(
            "SELECT id, doc FROM entities WHERE tenant = ?1 AND collection = ?2 AND id >= ?3
               AND id < ?4 AND deleted = 0 ORDER BY id",
        )?;
        let mut rows = statement.query(params![viewer.tenant(), CONFLICTS, begin, behind(&begin)])?;
        let mut out = Vec::new();
        while let Some(row) = rows.next()? {
            let (id_of_it, doc): (String, String) = (row.get(0)?, row.get(1)?);
            let mut conflict =
                Conflict::read(&from_json(&doc)?).map_err(|error| StoreError::Unreadable(error.to_string()))?;
            // Another entity may have the same prefix.
            let is_own = conflict.subject == viewer.principal.owner.subject;
            if conflict.c == *collection && conflict.e == id && (is_own || !mask.hides(&conflict.path)) {
                conflict.base = mask.value(&conflict.path, conflict.base.take());
                conflict.kept = mask.value(&conflict.path, conflict.kept.take());
                let yours = conflict.yours.take();
                conflict.yours =
                    if is_own { mask.own(&conflict.path, yours) } else { mask.value(&conflict.path, yours) };
                conflict.by = conflict.by.filter(|_| !mask.hides(&conflict.path));
                out.push((id_of_it, conflict));
            }
        }
        Ok(Some(out))
    }

    fn document(&self, tenant: &str, collection: &CollectionName, id: &EntityId) -> Result<Option<Value>, StoreError> {
        let doc: Option<String> = self
            .connection
            .prepare_cached("SELECT doc FROM entities WHERE tenant = ?1 AND collection = ?2 AND id = ?3")?
            .query_row(params![tenant, collection.as_str(), id.as_str()], |row| row.get(0))
            .optional()?;
        doc.as_deref().map(from_json).transpose()
    }
}
