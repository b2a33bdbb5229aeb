//! One entity for whoever asks for it by its id: what it is, when it came, and what else it is known by.

use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use tidewire_core::ids::{CONFLICTS, CollectionName, EntityId};
use tidewire_core::json::Value;
use tidewire_core::model::conflict::prefix;
use tidewire_core::protocol::message::Change;

use super::read::Snapshot;
use super::rows::{behind, from_json, int};
use crate::policy::Viewer;
use crate::store::StoreError;

/// An entity, and what is known of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Known {
    /// The entity.
    #[serde(flatten)]
    pub change: Change,
    /// When its newest revision arrived here, in milliseconds since 1970.
    pub last_synced_at: u64,
    /// Whether something of it waits for a decision.
    pub sync_status: SyncStatus,
    /// Ids that became this one's.
    pub aliases: Vec<String>,
}

/// How an entity stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncStatus {
    /// All that arrived is in it, or was told to have lost.
    Synced,
    /// A value waits until somebody decides.
    Conflict,
}

impl Snapshot<'_> {
    /// The id that an id stands for.
    pub fn resolve(&self, tenant: &str, collection: &CollectionName, id: EntityId) -> Result<EntityId, StoreError> {
        let alias: Option<String> = self
            .connection
            .prepare_cached("SELECT doc FROM entities WHERE tenant = ?1 AND collection = ?2 AND id = ?3")?
            .query_row(params![tenant, collection.aliases().as_str(), id.as_str()], |row| row.get(0))
            .optional()?;
        let alias: Option<Value> = alias.as_deref().map(from_json).transpose()?;
        let to = alias.and_then(|alias| EntityId::read(alias.get("to")?).ok());
        Ok(to.unwrap_or(id))
    }

    /// One entity under any of its ids, if its viewer may see it and it is not deleted.
    pub fn known(
        &self,
        viewer: Viewer<'_>,
        collection: &CollectionName,
        id: EntityId,
    ) -> Result<Option<Known>, StoreError> {
        let tenant = viewer.tenant();
        let id = self.resolve(tenant, collection, id)?;
        let Some(change) = self.entity(viewer, collection, &id)? else { return Ok(None) };
        let arrived: Option<i64> = self
            .connection
            .prepare_cached("SELECT at FROM commits WHERE tenant = ?1 AND seq = ?2")?
            .query_row(params![tenant, int(change.rev)], |row| row.get(0))
            .optional()?;
        let aliases = self
            .connection
            .prepare_cached(
                "SELECT id FROM lookups WHERE tenant = ?1 AND collection = ?2 AND kind = 'ref /to' AND value = ?3
                 ORDER BY id",
            )?
            .query_map(params![tenant, collection.aliases().as_str(), id.as_str()], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let last_synced_at = arrived.map_or(change.at, i64::cast_unsigned);
        let sync_status =
            if self.is_open(tenant, collection, &id)? { SyncStatus::Conflict } else { SyncStatus::Synced };
        Ok(Some(Known { change, last_synced_at, sync_status, aliases }))
    }

    fn is_open(&self, tenant: &str, collection: &CollectionName, id: &EntityId) -> Result<bool, StoreError> {
        let begin = prefix(collection.as_str(), id.as_str());
        Ok(self
            .connection
            .prepare_cached(
                "SELECT 1 FROM entities WHERE tenant = ?1 AND collection = ?2 AND id >= ?3 AND id < ?4
                   AND deleted = 0 AND doc ->> 'c' = ?5 AND doc ->> 'e' = ?6 AND doc ->> 'state' = 'open' LIMIT 1",
            )?
            .exists(params![tenant, CONFLICTS, begin, behind(&begin), collection.as_str(), id.as_str()])?)
    }
}
