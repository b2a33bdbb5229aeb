//! What crosses between JavaScript and Rust: bytes are copied, settings are parsed once.

use js_sys::Uint8Array;
use serde::Deserialize;
use tidewire_core::error::{Code, CoreError};
use tidewire_core::limits;

/// Bytes for IndexedDB or another tab, in a buffer of their own. A `Uint8Array` that looks into wasm memory would be
/// stored together with the whole memory: 300 ms and 48 MiB for a record of 180 bytes.
pub(crate) fn own_bytes(bytes: &[u8]) -> Uint8Array {
    Uint8Array::from(bytes)
}

/// The part of the face's `ClientConfig` that concerns the shell; the engine reads the rest.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Config {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) url: Option<String>,
    #[serde(default)]
    pub(crate) storage: StorageKind,
    #[serde(default)]
    pub(crate) timeout_ms: Option<u64>,
}

/// Where the log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StorageKind {
    #[default]
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
        serde_json::from_str(json).map_err(|error| CoreError::new(Code::BadConfig, format!("the settings: {error}")))
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
