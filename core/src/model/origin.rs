//! An edit that was brought to a newer version of the app's schema before it was sent says what it was.
//!
//! Copies of one store may each bring over what is queued in it, to different versions, or one of them not at all: it
//! is one edit all the same, and counts once. So what it was goes by the digest of its first bytes, which stands in
//! front of those that were made of them.
//!
//! ```json
//! {"origin":"00c0ffee00c0ffee","c":"deals","id":"1","kind":"patch","schema":2, …}
//! ```
//!
//! The invariant: however often an edit is brought over, its
//! [digest](crate::model::mutation::Mutation::digest) stays the same.

use crate::json::Raw;
use crate::model::former;

const OPENING: &str = "{\"origin\":\"";
const DIGITS: usize = 16;

/// The digest of what an edit was, if it says one.
///
/// ```
/// use tidewire_core::json::Raw;
/// use tidewire_core::model::{mutation::Mutation, origin};
/// let old = r#"{"c":"deals","id":"1","kind":"patch","base":3,"set":{"/town":"Ulm"},"at":[5,0]}"#;
/// let new = r#"{"c":"deals","id":"1","kind":"patch","schema":2,"base":3,"set":{"/city":"Ulm"},"at":[5,0]}"#;
/// let brought = origin::keep(Mutation::digest(old.as_bytes()), new);
/// assert_eq!(Mutation::digest(brought.get().as_bytes()), Mutation::digest(old.as_bytes()));
/// assert_eq!(origin::read(new.as_bytes()), None);
/// ```
pub fn read(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.strip_prefix(OPENING.as_bytes())?.get(..DIGITS)?;
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Whether an edit says what it was, under whatever name it comes.
pub fn is_kept(text: &str) -> bool {
    OPENING.strip_prefix('{').is_some_and(|opening| former::without(text).starts_with(opening))
}

/// The new bytes of an edit, with what it was.
pub fn keep(digest: u64, after: &str) -> Raw {
    let body = after.strip_prefix('{').unwrap_or(after);
    Raw::trusted(format!("{OPENING}{digest:0DIGITS$x}\",{body}"))
}
