//! One client's edit of one entity: what it sets, what stood there before, and when it was made.
//!
//! A mutation never changes once it was sent (rule 3), so it travels and is digested as the very bytes that its log record holds.
//! Its number is not in it: that is the key of the record, which is known only after the append.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Hlc;
use crate::ids::{CollectionName, EntityId, MutationId, Rev};
use crate::model::path::Path;

/// What a mutation does to its entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Makes the entity: the document is in `set` under the path `""`… as one `set` per top-level field.
    Insert,
    /// Changes fields of an entity that exists.
    Patch,
    /// Removes the entity.
    Delete,
}

/// The content of one edit.
///
/// A path that it touches and that is missing from `was` was absent in the author's view: absence is a value (rule 13).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mutation {
    /// The collection.
    #[serde(rename = "c")]
    pub collection: CollectionName,
    /// The entity.
    pub id: EntityId,
    /// Insert, patch or delete.
    pub kind: Kind,
    /// The confirmed revision in the author's view, by rule 13; 0 for an entity that the author had not seen.
    #[serde(rename = "base")]
    pub base_rev: Rev,
    /// Refuse the edit with `stale-rev` unless the entity stands at this revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_rev: Option<Rev>,
    /// New values by path. For an insert: one entry for each top-level field.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<Path, Value>,
    /// Paths to remove.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unset: Vec<Path>,
    /// Amounts to add to numbers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inc: BTreeMap<Path, f64>,
    /// Items to add to an array, each unless an equal one is there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub add: BTreeMap<Path, Vec<Value>>,
    /// Items to remove from an array.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub remove: BTreeMap<Path, Vec<Value>>,
    /// The author's values before the edit, for each touched path that existed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub was: BTreeMap<Path, Value>,
    /// When it was made, by the author's raw clock; never changed afterwards (rule 20).
    pub at: Hlc,
    /// Whether the author knew the offset to the server's clock when this was made (rule 20).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub synced_clock: bool,
    /// The mutation that this one tries again (rule 7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<MutationId>,
}
