//! A text that is known to be JSON and travels as it is.

use std::sync::Arc;

use super::scan::Scanner;
use crate::error::CoreError;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// JSON that nobody needs to look into: it is read, kept and written as text. A copy shares the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Raw(Arc<str>);

/// By this name [`json::to_text`](crate::json::to_text) knows a [`Raw`].
pub(super) const RAW: &str = "$tidewire::raw";

impl Raw {
    /// A text that has to be JSON.
    ///
    /// # Errors
    /// `bad-json`.
    pub fn parse(text: &str) -> Result<Self, CoreError> {
        Scanner::new(text.as_bytes(), None)?.lone().map(Self::trusted)
    }

    /// A text that was found as a value within JSON, or written by this crate.
    pub(crate) fn trusted(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn get(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Only [`json::to_text`](crate::json::to_text) writes it as it is.
impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(RAW, &*self.0)
    }
}

/// For what a server reads through `serde_json`.
impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <Box<serde_json::value::RawValue>>::deserialize(deserializer)?;
        Ok(Self::trusted(raw.get()))
    }
}
