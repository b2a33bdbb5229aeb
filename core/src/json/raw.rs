//! A text that is known to be JSON and travels as it is.

use std::ops::Range;
use std::sync::Arc;

use super::scan::Scanner;
use crate::error::CoreError;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// JSON that nobody needs to look into: it is read, kept and written as text. A copy shares the text, and so do those
/// that stand side by side in one.
#[derive(Clone)]
pub struct Raw {
    text: Arc<str>,
    start: u32,
    end: u32,
}

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
        let text = text.into();
        Self { start: 0, end: place(text.len()), text }
    }

    /// A part of a text, which stays as long as any of its parts does.
    pub(crate) fn part(text: &Arc<str>, at: Range<usize>) -> Self {
        Self { text: text.clone(), start: place(at.start), end: place(at.end) }
    }

    /// A value that was found in this one: its text is shared.
    pub(crate) fn within(&self, found: &str) -> Self {
        // What begins and ends within the memory of the text is a part of it.
        let start = (found.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        let at = start..start.saturating_add(found.len());
        if at.end <= self.text.len() { Self::part(&self.text, at) } else { Self::trusted(found) }
    }

    /// The text.
    pub fn get(&self) -> &str {
        self.text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// No text is longer: a segment holds at most 64 MiB.
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Raw {}

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.get())
    }
}

/// Only [`json::to_text`](crate::json::to_text) writes it as it is.
impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(RAW, self.get())
    }
}

/// For what a server reads through `serde_json`.
impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <Box<serde_json::value::RawValue>>::deserialize(deserializer)?;
        Ok(Self::trusted(raw.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_in_a_text_shares_it() {
        let all: Arc<str> = Arc::from(r#"..{"a":[1,2]}.."#);
        let object = Raw::part(&all, 2..all.len() - 2);
        assert_eq!(object.get(), r#"{"a":[1,2]}"#);
        let list = object.within(&object.get()[5..10]);
        assert_eq!((list.get(), Arc::ptr_eq(&list.text, &all)), ("[1,2]", true));
        let other = object.within("[1,2]");
        assert_eq!((&other, Arc::ptr_eq(&other.text, &all)), (&list, false));
    }
}
