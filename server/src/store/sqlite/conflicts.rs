//! Conflicts as readers see them: their author his own, and whoever may see an entity all of its history.
//!
//! Invariant: what others wrote is told only to who may see the entity now (rule 27).

use rusqlite::params;
use tidewire_core::ids::{CONFLICTS, CollectionName, EntityId, Group};
use tidewire_core::json::{self, Value};
use tidewire_core::model::conflict::{Conflict, prefix};

use super::read::Snapshot;
use super::rows::{behind, from_json};
use crate::store::StoreError;

impl Snapshot<'_> {
    /// The document of a conflict without what others wrote; `None` if its reader may see the entity, and all of it.
    pub(super) fn without_others(
        &self,
        tenant: &str,
        groups: &[Group],
        doc: &str,
    ) -> Result<Option<String>, StoreError> {
        let mut doc: Value = from_json(doc)?;
        let name = |key: &str| doc.get(key).and_then(Value::as_str).unwrap_or_default();
        if self.is_visible(tenant, groups, name("c"), name("e"))? {
            return Ok(None);
        }
        if let Some(fields) = doc.as_object_mut() {
            for key in ["base", "kept", "by"] {
                fields.remove(key);
            }
        }
        Ok(Some(json::write_text(&doc)))
    }

    /// All conflicts of an entity under any of its ids, the newest last, if these groups may see it and it is not
    /// deleted.
    pub fn conflicts(
        &self,
        tenant: &str,
        groups: &[Group],
        collection: &CollectionName,
        id: EntityId,
    ) -> Result<Option<Vec<(String, Conflict)>>, StoreError> {
        let id = self.resolve(tenant, collection, id)?;
        if self.entity(tenant, groups, collection, &id)?.is_none() {
            return Ok(None);
        }
        let begin = prefix(collection.as_str(), id.as_str());
        let mut statement = self.connection.prepare_cached(
            "SELECT id, doc FROM entities WHERE tenant = ?1 AND collection = ?2 AND id >= ?3
               AND id < ?4 AND deleted = 0 ORDER BY id",
        )?;
        let mut rows = statement.query(params![tenant, CONFLICTS, begin, behind(&begin)])?;
        let mut out = Vec::new();
        while let Some(row) = rows.next()? {
            let (id_of_it, doc): (String, String) = (row.get(0)?, row.get(1)?);
            let conflict =
                Conflict::read(&from_json(&doc)?).map_err(|error| StoreError::Unreadable(error.to_string()))?;
            // Another entity may have the same prefix.
            if conflict.c == *collection && conflict.e == id {
                out.push((id_of_it, conflict));
            }
        }
        Ok(Some(out))
    }
}
