//! Records about how much of the server's data a device keeps. None of them says anything to the server: what is given
//! up here is not deleted there.

use serde::{Deserialize, Serialize};

use crate::error::CoreError;
use crate::ids::{CollectionName, EntityId};
use crate::json::{self, Fields};
use crate::log::record::is_zero;
use crate::model::change::Change;
use crate::small::SmallMap;

/// Entities whose confirmed documents are given up. Those that something still needs stay (`store::evict`).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Evict {
    /// The writer's fence.
    pub fence: u64,
    /// Their collection.
    pub c: CollectionName,
    /// Which.
    pub ids: Vec<EntityId>,
    /// Not those that came behind this key; 0: whichever.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub upto: u64,
}

/// One entity that was asked for by itself. Without a document: the server has none for this reader.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fetched {
    /// The writer's fence.
    pub fence: u64,
    /// The device's raw clock, in milliseconds since 1970.
    pub at: u64,
    /// As it came.
    pub row: Change,
    /// The id that it was asked for by, if that became this one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<EntityId>,
}

/// Entities that the app has used, so that those that nobody uses are given up first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Used {
    /// When the last of them was, by the device's raw clock, in milliseconds since 1970.
    pub at: u64,
    /// Their collection.
    pub c: CollectionName,
    /// Which.
    pub ids: Vec<EntityId>,
}

/// How much is kept of each collection from here on; one that is not named is kept whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Replicate {
    /// The writer's fence.
    pub fence: u64,
    /// The device's raw clock, in milliseconds since 1970.
    pub at: u64,
    /// The options, as canonical JSON.
    pub collections: Partial,
}

/// The collections of which not everything is kept, and what of them is.
pub type Partial = SmallMap<CollectionName, String>;

impl Evict {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, CoreError> {
        let c = CollectionName::read(fields.need("c")?)?;
        let upto = fields.number_or("upto", 0)?;
        Ok(Self { fence: fields.number("fence")?, c, ids: fields.list("ids", EntityId::read)?, upto })
    }
}

impl Fetched {
    pub(super) fn read(fields: &Fields<'_>, row: &str) -> Result<Self, CoreError> {
        let (row, asked) = (Change::read(row.as_bytes())?, fields.opt("asked", EntityId::read)?);
        Ok(Self { fence: fields.number("fence")?, at: fields.number("at")?, row, asked })
    }
}

impl Used {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, CoreError> {
        let c = CollectionName::read(fields.need("c")?)?;
        Ok(Self { at: fields.number("at")?, c, ids: fields.list("ids", EntityId::read)? })
    }
}

impl Replicate {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, CoreError> {
        let (fence, at) = (fields.number("fence")?, fields.number("at")?);
        Ok(Self { fence, at, collections: read_partial(fields, "collections")? })
    }
}

/// Reads what is kept of collections from a field of JSON.
///
/// # Errors
/// `bad-message` or `bad-name`.
pub fn read_partial(fields: &Fields<'_>, key: &str) -> Result<Partial, CoreError> {
    let mut partial = Partial::new();
    for (name, options) in fields.entries(key)? {
        partial.insert(CollectionName::parse(name)?, json::text(options)?.to_owned());
    }
    Ok(partial)
}
