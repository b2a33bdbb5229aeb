//! How a collection settles concurrent writes: settings that both ends read. The server's are the truth.

use serde::{Deserialize, Serialize};

use crate::error::{Code, CoreError};
use crate::ids::CollectionName;
use crate::json::{self, Fields, Value};
use crate::model::path::Path;
use crate::small::SmallMap;

/// What happens to concurrent writes of one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The later stamp wins; ties by replica, then by number.
    #[default]
    LastWriteWins,
    /// Three-way: objects by path, arrays of objects by their `id`; the rest by the later stamp.
    Merge,
    /// The incoming value wins.
    ClientWins,
    /// The stored value wins.
    ServerWins,
    /// The stored value stays, and the incoming one waits for its author's decision (rule 17).
    Manual,
}

/// How one field merges; overrides the collection's strategy for its path and what is below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FieldStrategy {
    /// The later stamp wins.
    LastWriteWins,
    /// Three-way: objects by path, arrays of objects by their `id`; the rest by the later stamp.
    Merge,
    /// The incoming value wins.
    ClientWins,
    /// The stored value wins.
    ServerWins,
    /// The stored value stays, and the incoming one waits for its author's decision (rule 17).
    Manual,
    /// A number: a concurrent set counts as its difference to `was` (rule 16).
    Counter,
    /// An array as a set: what either added is in it, what either removed is not.
    Union,
    /// A text: changes of different places both stand.
    Text,
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
    #[serde(skip_serializing_if = "SmallMap::is_empty")]
    pub fields: SmallMap<Path, FieldStrategy>,
    /// Delete against update.
    pub on_delete_conflict: DeleteConflict,
}

/// Every collection's settings.
pub type Settings = SmallMap<CollectionName, CollectionSettings>;

impl FieldStrategy {
    fn read(value: &Value) -> Result<Self, CoreError> {
        Ok(match json::text(value)? {
            "last-write-wins" => Self::LastWriteWins,
            "merge" => Self::Merge,
            "client-wins" => Self::ClientWins,
            "server-wins" => Self::ServerWins,
            "manual" => Self::Manual,
            "counter" => Self::Counter,
            "union" => Self::Union,
            "text" => Self::Text,
            other => return Err(unknown("strategy", other)),
        })
    }
}

impl Strategy {
    fn read(value: &Value) -> Result<Self, CoreError> {
        Ok(match FieldStrategy::read(value)? {
            FieldStrategy::LastWriteWins => Self::LastWriteWins,
            FieldStrategy::Merge => Self::Merge,
            FieldStrategy::ClientWins => Self::ClientWins,
            FieldStrategy::ServerWins => Self::ServerWins,
            FieldStrategy::Manual => Self::Manual,
            FieldStrategy::Counter | FieldStrategy::Union | FieldStrategy::Text => {
                return Err(unknown("strategy of a collection", json::text(value)?));
            }
        })
    }
}

impl DeleteConflict {
    fn read(value: &Value) -> Result<Self, CoreError> {
        Ok(match json::text(value)? {
            "delete-wins" => Self::DeleteWins,
            "update-wins" => Self::UpdateWins,
            other => return Err(unknown("rule for deletes", other)),
        })
    }
}

impl CollectionSettings {
    /// Reads them from JSON.
    ///
    /// # Errors
    /// `bad-message` or `bad-path`.
    pub fn read(value: &Value) -> Result<Self, CoreError> {
        let fields = Fields::of(value)?;
        let mut settings = Self {
            conflict: fields.opt("conflict", Strategy::read)?.unwrap_or_default(),
            fields: Default::default(),
            on_delete_conflict: fields.opt("onDeleteConflict", DeleteConflict::read)?.unwrap_or_default(),
        };
        for (path, strategy) in fields.entries("fields")? {
            settings.fields.insert(Path::parse(path)?, FieldStrategy::read(strategy)?);
        }
        Ok(settings)
    }
}

/// Reads every collection's settings from a field of JSON.
///
/// # Errors
/// `bad-message`, `bad-name` or `bad-path`.
pub fn read_settings(fields: &Fields<'_>, key: &str) -> Result<Settings, CoreError> {
    let mut settings = Settings::default();
    for (name, collection) in fields.entries(key)? {
        settings.insert(CollectionName::parse(name)?, CollectionSettings::read(collection)?);
    }
    Ok(settings)
}

fn unknown(what: &str, text: &str) -> CoreError {
    CoreError::new(Code::BadMessage, format!("there is no {what} `{text}`"))
}
