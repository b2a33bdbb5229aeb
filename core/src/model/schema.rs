//! How a collection settles concurrent writes: settings that both ends read. The server's are the truth.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::CollectionName;
use crate::model::path::Path;

/// What happens to concurrent writes of one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The later stamp wins; ties by replica, then by number.
    #[default]
    LastWriteWins,
    /// Three-way: objects by path; `union`, `counter` and `text` by field; the rest by the later stamp.
    Merge,
    /// The incoming value wins.
    ClientWins,
    /// The stored value wins.
    ServerWins,
}

/// How one field merges; overrides the collection's strategy for its path and what is below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FieldStrategy {
    /// The later stamp wins.
    LastWriteWins,
    /// Three-way by path.
    Merge,
    /// The incoming value wins.
    ClientWins,
    /// The stored value wins.
    ServerWins,
    /// A number: a concurrent set counts as its difference to `was` (rule 16).
    Counter,
}

/// Delete against a concurrent update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeleteConflict {
    /// The deletion stands.
    #[default]
    DeleteWins,
    /// The update brings the entity back.
    UpdateWins,
}

/// One collection's settings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct CollectionSettings {
    /// For every path without a strategy of its own.
    pub conflict: Strategy,
    /// By path.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<Path, FieldStrategy>,
    /// Delete against update.
    pub on_delete_conflict: DeleteConflict,
}

/// Every collection's settings.
pub type Settings = BTreeMap<CollectionName, CollectionSettings>;
