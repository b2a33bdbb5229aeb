//! What the app asked for in `openDb`, with the defaults of `limits`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::{Code, CoreError};
use crate::health::HealthLimits;
use crate::ids::CollectionName;
use crate::io::Durability;
use crate::limits;
use crate::model::path::Path;
use crate::model::schema::{CollectionSettings, DeleteConflict, FieldStrategy, Settings, Strategy};
use crate::queue::backoff::Bounds;
use crate::queue::batch::Limits;

/// The options of one database.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Its name: the store's and the lock's.
    pub name: String,
    /// The server; `None`: local only.
    pub url: Option<String>,
    /// What is kept and synced.
    pub collections: BTreeMap<CollectionName, Collection>,
    /// Wait for an answer, or for the next bytes of one.
    pub timeout_ms: u64,
    /// Backoff.
    pub retry: Retry,
    /// Size of a push.
    pub batch: Batch,
    /// Polling without a socket.
    pub poll_ms: Poll,
    /// Largest document.
    pub max_document_bytes: usize,
    /// Of a user's writes.
    pub durability: DurabilityOption,
    /// When health is bad.
    pub health: HealthLimits,
}

/// One collection's options.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Collection {
    /// For every path without a strategy of its own.
    pub conflict: Strategy,
    /// By path.
    pub fields: BTreeMap<Path, FieldStrategy>,
    /// Delete against update.
    pub on_delete_conflict: DeleteConflict,
}

/// Backoff.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Retry {
    /// First ceiling.
    pub initial_ms: u64,
    /// Last ceiling.
    pub max_ms: u64,
}

/// Size of a push.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Batch {
    /// Mutations.
    pub max_count: usize,
    /// Bytes.
    pub max_bytes: usize,
}

/// Polling without a socket.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Poll {
    /// While the page is visible.
    pub visible: u64,
    /// While it is hidden.
    pub hidden: u64,
}

/// Of a user's writes.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DurabilityOption {
    /// A power cut keeps them.
    #[default]
    Strict,
    /// A crash of the browser keeps them.
    Relaxed,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: String::new(),
            url: None,
            collections: BTreeMap::new(),
            timeout_ms: limits::REQUEST_TIMEOUT_MS,
            retry: Retry::default(),
            batch: Batch::default(),
            poll_ms: Poll::default(),
            max_document_bytes: limits::DOCUMENT_BYTES_MAX,
            durability: DurabilityOption::default(),
            health: HealthLimits::default(),
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self { initial_ms: limits::RETRY_INITIAL_MS, max_ms: limits::RETRY_MAX_MS }
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self { max_count: limits::PUSH_COUNT_DEFAULT, max_bytes: limits::PUSH_BYTES_DEFAULT }
    }
}

impl Default for Poll {
    fn default() -> Self {
        Self { visible: limits::POLL_VISIBLE_MS, hidden: limits::POLL_HIDDEN_MS }
    }
}

impl Config {
    /// Reads the options.
    ///
    /// # Errors
    /// `bad-config` with what is wrong.
    pub fn parse(json: &str) -> Result<Self, CoreError> {
        let mut config: Self = serde_json::from_str(json)
            .map_err(|error| CoreError::new(Code::BadConfig, format!("the options cannot be read: {error}")))?;
        if config.name.is_empty() {
            return Err(CoreError::new(Code::BadConfig, "a database needs a `name`"));
        }
        config.batch.max_count = config.batch.max_count.clamp(1, limits::PUSH_MUTATIONS_MAX);
        config.batch.max_bytes = config.batch.max_bytes.clamp(1, limits::PUSH_BYTES_MAX / 2);
        Ok(config)
    }

    /// How writes of the app are committed.
    pub fn write_durability(&self) -> Durability {
        match self.durability {
            DurabilityOption::Strict => Durability::Strict,
            DurabilityOption::Relaxed => Durability::Relaxed,
        }
    }

    /// The bounds of every backoff.
    pub fn bounds(&self) -> Bounds {
        Bounds { initial_ms: self.retry.initial_ms, max_ms: self.retry.max_ms }
    }

    /// The bounds of a push.
    pub fn limits(&self) -> Limits {
        Limits { count: self.batch.max_count, bytes: self.batch.max_bytes }
    }

    /// The settings as the client declares them, used until the server's are known.
    pub fn settings(&self) -> Settings {
        self.collections.iter().map(|(name, collection)| (name.clone(), collection.settings())).collect()
    }
}

impl Collection {
    fn settings(&self) -> CollectionSettings {
        CollectionSettings {
            conflict: self.conflict,
            fields: self.fields.clone(),
            on_delete_conflict: self.on_delete_conflict,
        }
    }
}
