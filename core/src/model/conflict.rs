//! A value that met a concurrent one: what waits for its author's decision, and what lost.
//!
//! Conflicts travel and are stored as entities of the collection [`CONFLICTS`](crate::ids::CONFLICTS), which the
//! server alone writes: so pull, live channel, log, reset and tombstones carry them as they carry everything else, and
//! they survive the device (rules 17 and 19). One conflict is one path of one entity; it is held by the group of the
//! user who wrote [`Conflict::yours`].
//!
//! The invariant: a conflict that is [`State::Open`] is never dropped, and never in a document.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh64::xxh64;

use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, EntityId, ReplicaId};
use crate::json::{self, Fields, Value};
use crate::model::path::Path;

/// Where a conflict stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The value waits for its author's decision; he sees it in place of what stands.
    Open,
    /// The value lost by the collection's strategy. It can be put back.
    Lost,
    /// The author has decided, or has put the value back.
    Closed,
}

/// One value that met a concurrent one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    /// The collection of the entity.
    pub c: CollectionName,
    /// The entity.
    pub e: EntityId,
    /// The field.
    pub path: Path,
    /// Where it stands.
    pub state: State,
    /// What the authors of both had seen; left out where the field was absent, or is not known.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::present")]
    pub base: Option<Value>,
    /// The value that waits or lost; left out where its author removed the field.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::present")]
    pub yours: Option<Value>,
    /// What stood against it when that was decided; left out where the field is gone.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::present")]
    pub kept: Option<Value>,
    /// The replica that wrote `kept`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<ReplicaId>,
    /// Who wrote `yours`.
    pub subject: String,
    /// ... on which device.
    pub replica: ReplicaId,
    /// When it was decided, by the server's clock, in milliseconds since 1970.
    pub at: u64,
    /// How often the author's decision met yet another concurrent write.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rounds: u32,
    /// Older conflicts of this entity that were dropped so far.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u32,
    /// It was [`State::Lost`] before it was closed: reopened, it is that again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What the ids of an entity's conflicts begin with. Two entities may share it: a conflict says itself whose it is.
///
/// ```
/// use tidewire_core::model::conflict::prefix;
/// assert_eq!(prefix("todos", "t1").len(), 17);
/// assert_ne!(prefix("todos", "t1"), prefix("todo", "st1"));
/// ```
pub fn prefix(collection: &str, id: &str) -> String {
    // The name ends the seed of the id, so that no name runs into an id.
    format!("{:016x}-", hash_of_entity(collection, id))
}

/// An entity's name as a number.
pub fn hash_of_entity(collection: &str, id: &str) -> u64 {
    xxh64(id.as_bytes(), xxh64(collection.as_bytes(), 0))
}

/// The entity that a conflict is about, as [`hash_of_entity`] has it, by the conflict's id.
pub fn entity_of(conflict: &str) -> Option<u64> {
    u64::from_str_radix(conflict.split_once('-')?.0, 16).ok()
}

impl State {
    /// Reads it from JSON.
    ///
    /// # Errors
    /// `bad-message`.
    pub fn read(value: &Value) -> Result<Self, CoreError> {
        match json::text(value)? {
            "open" => Ok(Self::Open),
            "lost" => Ok(Self::Lost),
            "closed" => Ok(Self::Closed),
            _ => Err(CoreError::new(Code::BadMessage, "this is of a later release")),
        }
    }
}

impl Conflict {
    /// Reads the document of one.
    ///
    /// # Errors
    /// `bad-message`, `bad-name` or `bad-path`.
    pub fn read(value: &Value) -> Result<Self, CoreError> {
        let fields = Fields::of(value)?;
        let small = |key| Ok::<u32, CoreError>(fields.number_or(key, 0)?.try_into().unwrap_or(u32::MAX));
        Ok(Self {
            c: CollectionName::read(fields.need("c")?)?,
            e: EntityId::read(fields.need("e")?)?,
            path: Path::read(fields.need("path")?)?,
            state: State::read(fields.need("state")?)?,
            base: fields.any("base").cloned(),
            yours: fields.any("yours").cloned(),
            kept: fields.any("kept").cloned(),
            by: fields.opt("by", ReplicaId::read)?,
            subject: fields.text("subject")?.to_owned(),
            replica: ReplicaId::read(fields.need("replica")?)?,
            at: fields.number("at")?,
            rounds: small("rounds")?,
            dropped: small("dropped")?,
            lost: fields.flag("lost")?,
        })
    }
}
