//! Values as they stand in columns.

use serde::de::DeserializeOwned;
use tidewire_core::ids::ReplicaId;
use tidewire_core::json;
use tidewire_core::merge::{PathRev, PathRevs};

use crate::store::StoreError;

/// The first text behind all that begin so.
pub(super) fn behind(prefix: &str) -> String {
    let mut text = prefix.to_owned();
    let last = text.pop().and_then(|last| char::from_u32(last as u32 + 1));
    text.push(last.unwrap_or(char::MAX));
    text
}

/// A number as SQLite has it. Those that come from a client are checked at the door.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Stored JSON.
pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::Unreadable(e.to_string()))
}

/// A stored name of a replica.
pub(super) fn replica(text: &str) -> Result<ReplicaId, StoreError> {
    ReplicaId::parse(text).map_err(|e| StoreError::Unreadable(e.to_string()))
}

/// What [`json::to_text`] makes of it. Most fields were last written together, so one is written as the one before.
pub(super) fn paths_text(paths: &PathRevs) -> String {
    let mut text = String::from("{");
    let mut before: Option<(&PathRev, std::ops::Range<usize>)> = None;
    for (path, entry) in paths.iter() {
        if text.len() > 1 {
            text.push(',');
        }
        json::write_into(path.as_str(), &mut text);
        text.push(':');
        let start = text.len();
        match &before {
            Some((same, range)) if *same == entry => text.extend_from_within(range.clone()),
            _ => json::write_into(entry, &mut text),
        }
        before = Some((entry, start..text.len()));
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn paths_are_written_as_ever() {
        for text in [
            "{}",
            r#"{"/a":[3,[[17,0],"anna",[1,0]]]}"#,
            r#"{"/a":[3,[[17,0],"anna",[1,0]]],"/b\"c":[3,[[17,0],"anna",[1,0]]],"/d":[4,[[17,0],"ben",[1,0]]],
               "/e":[4,[[17,0],"ben",[1,0]],[[18,1],"eve",[2,7]]],"/f":[4,[[17,0],"ben",[1,0]]]}"#,
        ] {
            let paths: PathRevs = from_json(text).unwrap();
            assert_eq!(paths_text(&paths), json::to_text(&paths));
        }
    }
}
