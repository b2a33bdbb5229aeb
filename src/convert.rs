//! What crosses between JavaScript and Rust: bytes are copied, settings are parsed once.

use js_sys::Uint8Array;
use serde_json::Value;
use tidewire_core::error::{Code, CoreError};
use tidewire_core::json::{self, JsonLimits};
use tidewire_core::limits;

/// Bytes for IndexedDB or another tab, in a buffer of their own. A `Uint8Array` that looks into wasm memory would be
/// stored together with the whole memory: 300 ms and 48 MiB for a record of 180 bytes.
pub(crate) fn own_bytes(bytes: &[u8]) -> Uint8Array {
    Uint8Array::from(bytes)
}

/// The part of the face's `ClientConfig` that concerns the shell; the engine reads the rest and
/// refuses what is of a wrong type.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) name: String,
    pub(crate) url: Option<String>,
    pub(crate) storage: StorageKind,
    pub(crate) timeout_ms: Option<u64>,
}

/// Where the log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StorageKind {
    Indexeddb,
    Memory,
}

impl StorageKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Indexeddb => "indexeddb",
            Self::Memory => "memory",
        }
    }
}

impl Config {
    pub(crate) fn parse(json: &str) -> Result<Self, CoreError> {
        let settings = json::parse(json.as_bytes(), JsonLimits::MESSAGE)
            .map_err(|error| error.within(Code::BadConfig, "the settings cannot be read"))?;
        let storage = match settings.get("storage") {
            None | Some(Value::Null) => StorageKind::Indexeddb,
            Some(Value::String(kind)) if kind == "indexeddb" => StorageKind::Indexeddb,
            Some(Value::String(kind)) if kind == "memory" => StorageKind::Memory,
            Some(_) => return Err(CoreError::new(Code::BadConfig, "`storage` is \"indexeddb\" or \"memory\"")),
        };
        let text = |name| settings.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            name: text("name").unwrap_or_default(),
            url: text("url"),
            storage,
            timeout_ms: settings.get("timeoutMs").and_then(Value::as_u64),
        })
    }

    pub(crate) fn timeout_ms(&self) -> u64 {
        self.timeout_ms.unwrap_or(limits::REQUEST_TIMEOUT_MS)
    }

    /// The address of an endpoint; without a server's address the page's own origin.
    pub(crate) fn endpoint(&self, path: &str) -> String {
        let base = self.url.as_deref().unwrap_or_default().trim_end_matches('/');
        format!("{base}/api/sync/{path}")
    }
}
