//! What the app asked for in `openDb`, with the defaults of `limits`.

use crate::error::{Code, CoreError};
use crate::health::HealthLimits;
use crate::ids::CollectionName;
use crate::io::Durability;
use crate::json::{self, Fields, JsonLimits, Value};
use crate::limits;
use crate::model::local::Local;
use crate::model::migration::FIRST;
use crate::model::path::Path;
use crate::model::schema::{Settings, read_settings};
use crate::queue::backoff::Bounds;
use crate::queue::batch::Limits;
use crate::small::SmallMap;

/// The options of one database.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its name: the store's and the lock's.
    pub name: String,
    /// The server; `None`: local only.
    pub url: Option<String>,
    /// What is kept and synced.
    pub collections: Settings,
    /// Fields of theirs that never leave the device.
    pub locals: SmallMap<CollectionName, Local>,
    /// How much is kept of those that are not kept whole.
    pub replicate: SmallMap<CollectionName, Replicate>,
    /// Those that come without some of their fields.
    pub stripped: Vec<CollectionName>,
    /// Fields of theirs that hold the id of an entity of another collection.
    pub refs: SmallMap<CollectionName, Vec<(Path, CollectionName)>>,
    /// The version of the app's schema.
    pub schema: u64,
    /// All options as they were given: the way to it from earlier ones is read when this tab leads.
    pub given: Value,
    /// Wait for an answer, or for the next bytes of one.
    pub timeout_ms: u64,
    /// Backoff.
    pub retry: Retry,
    /// Size of a push.
    pub batch: Batch,
    /// Polling without a socket.
    pub poll_ms: Poll,
    /// How often to compare with the server (rule 25).
    pub verify_ms: u64,
    /// Largest document.
    pub max_document_bytes: usize,
    /// Documents that lie unpacked in memory, in bytes.
    pub memory_bytes: usize,
    /// Of a user's writes.
    pub durability: DurabilityOption,
    /// When health is bad.
    pub health: HealthLimits,
}

/// How much of a collection a device keeps.
#[derive(Debug, Clone)]
pub struct Replicate {
    /// Nothing but what was fetched and what was written here.
    pub is_none: bool,
    /// Only what matches.
    pub filter: Option<Value>,
    /// Given up so long after it was last used.
    pub ttl_ms: Option<u64>,
    /// The least recently used of more than this are given up.
    pub max_entities: Option<u64>,
    /// All of this as canonical JSON: by it a store knows what it was filled for.
    pub text: String,
}

/// Backoff.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// First ceiling.
    pub initial_ms: u64,
    /// Last ceiling.
    pub max_ms: u64,
}

/// Size of a push.
#[derive(Debug, Clone, Copy)]
pub struct Batch {
    /// Mutations.
    pub max_count: usize,
    /// Bytes.
    pub max_bytes: usize,
}

/// Polling without a socket.
#[derive(Debug, Clone, Copy)]
pub struct Poll {
    /// While the page is visible.
    pub visible: u64,
    /// While it is hidden.
    pub hidden: u64,
}

/// Of a user's writes.
#[derive(Debug, Clone, Copy, Default)]
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
            collections: Settings::default(),
            locals: SmallMap::new(),
            replicate: SmallMap::new(),
            stripped: Vec::new(),
            refs: SmallMap::new(),
            schema: FIRST,
            given: Value::default(),
            timeout_ms: limits::REQUEST_TIMEOUT_MS,
            retry: Retry::default(),
            batch: Batch::default(),
            poll_ms: Poll::default(),
            verify_ms: limits::VERIFY_MS,
            max_document_bytes: limits::DOCUMENT_BYTES_MAX,
            memory_bytes: limits::MEMORY_BYTES,
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

impl Replicate {
    /// Reads it; `None`: everything is kept.
    fn read(value: &Value) -> Result<Option<Self>, CoreError> {
        let text = json::write_text(value);
        if let Some(word) = value.as_str() {
            let bad = || CoreError::new(Code::BadConfig, "`replicate` is `full`, `none` or an object");
            let none = Self { is_none: true, filter: None, ttl_ms: None, max_entities: None, text };
            return if word == "full" { Ok(None) } else { Some(Some(none)).filter(|_| word == "none").ok_or_else(bad) };
        }
        let fields = Fields::of(value)?;
        let replicate = Self {
            is_none: false,
            filter: fields.get("where").cloned(),
            ttl_ms: fields.opt("ttlMs", json::number)?,
            max_entities: fields.opt("maxEntities", json::number)?,
            text,
        };
        let is_whole = (&replicate.filter, replicate.ttl_ms, replicate.max_entities) == (&None, None, None);
        Ok(Some(replicate).filter(|_| !is_whole))
    }
}

impl Config {
    /// Reads the options.
    ///
    /// # Errors
    /// `bad-config` with what is wrong.
    pub fn parse(json: &str) -> Result<Self, CoreError> {
        let bad = |error: CoreError| error.within(Code::BadConfig, "the options cannot be read");
        let value = json::parse(json.as_bytes(), JsonLimits::MESSAGE).map_err(bad)?;
        let mut config = Self::read(&value).map_err(bad)?;
        if config.name.is_empty() {
            return Err(CoreError::new(Code::BadConfig, "a database needs a `name`"));
        }
        if config.collections.keys().any(CollectionName::is_reserved) {
            return Err(CoreError::new(Code::BadConfig, "names with `$` are Tidewire's own"));
        }
        config.given = value;
        config.batch.max_count = config.batch.max_count.clamp(1, limits::PUSH_MUTATIONS_MAX);
        config.batch.max_bytes = config.batch.max_bytes.clamp(1, limits::PUSH_BYTES_MAX / 2);
        Ok(config)
    }

    fn read(value: &Value) -> Result<Self, CoreError> {
        let fields = Fields::of(value)?;
        let mut config = Self {
            name: fields.opt_text("name")?.unwrap_or_default(),
            url: fields.opt_text("url")?,
            collections: read_settings(&fields, "collections")?,
            schema: fields.number_or("version", FIRST)?,
            timeout_ms: fields.number_or("timeoutMs", limits::REQUEST_TIMEOUT_MS)?,
            verify_ms: fields.number_or("verifyMs", limits::VERIFY_MS)?,
            max_document_bytes: fields.size_or("maxDocumentBytes", limits::DOCUMENT_BYTES_MAX)?,
            memory_bytes: fields.size_or("memoryBytes", limits::MEMORY_BYTES)?,
            ..Self::default()
        };
        for (name, options) in fields.entries("collections")? {
            config.read_collection(CollectionName::parse(name)?, &Fields::of(options)?)?;
        }
        if let Some(part) = fields.opt("retry", Fields::of)? {
            config.retry.initial_ms = part.number_or("initialMs", config.retry.initial_ms)?;
            config.retry.max_ms = part.number_or("maxMs", config.retry.max_ms)?;
        }
        if let Some(part) = fields.opt("batch", Fields::of)? {
            config.batch.max_count = part.size_or("maxCount", config.batch.max_count)?;
            config.batch.max_bytes = part.size_or("maxBytes", config.batch.max_bytes)?;
        }
        if let Some(part) = fields.opt("pollMs", Fields::of)? {
            config.poll_ms.visible = part.number_or("visible", config.poll_ms.visible)?;
            config.poll_ms.hidden = part.number_or("hidden", config.poll_ms.hidden)?;
        }
        if let Some(part) = fields.opt("health", Fields::of)? {
            config.health.error_rate =
                part.get("errorRate").map_or(Some(config.health.error_rate), Value::as_f64).ok_or_else(no_rate)?;
            config.health.stuck = part.size_or("stuck", config.health.stuck)?;
            config.health.last_sync_ms = part.number_or("lastSyncMs", config.health.last_sync_ms)?;
            config.health.pending_ms = part.number_or("pendingMs", config.health.pending_ms)?;
        }
        config.durability = match fields.opt("durability", json::text)? {
            None | Some("strict") => DurabilityOption::Strict,
            Some("relaxed") => DurabilityOption::Relaxed,
            Some(_) => return Err(CoreError::new(Code::BadConfig, "`durability` is `strict` or `relaxed`")),
        };
        Ok(config)
    }

    fn read_collection(&mut self, name: CollectionName, options: &Fields<'_>) -> Result<(), CoreError> {
        let paths = options.list("local", Path::read)?;
        if !paths.is_empty() {
            let local = Local::new(&name, paths)?;
            self.locals.insert(name.clone(), local);
        }
        if options.any("sensitive").is_some() {
            self.stripped.push(name.clone());
        }
        for (path, target) in options.entries("refs")? {
            let target = (Path::parse(path)?, CollectionName::read(Fields::of(target)?.need("to")?)?);
            self.refs.or_default(name.clone()).push(target);
        }
        if let Some(replicate) = options.opt("replicate", Replicate::read)?.flatten() {
            self.replicate.insert(name, replicate);
        }
        Ok(())
    }

    /// Whether nothing of a collection is replicated.
    pub(crate) fn is_none(&self, name: &CollectionName) -> bool {
        self.replicate.get(name.as_str()).is_some_and(|options| options.is_none)
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
        self.collections.clone()
    }
}

fn no_rate() -> CoreError {
    CoreError::new(Code::BadConfig, "`health.errorRate` is a number")
}
