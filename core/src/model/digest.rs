//! What two ends compare to notice that they hold different data (rule 25).
//!
//! The digest of a collection is the number of its entities and the sum of their hashes, so it does not depend on an
//! order. An entity's hash covers its id, its revision and its canonical document: keys sorted, numbers as the one
//! writer of [`json`] writes them, so `-0`, `1.0` and `1e21` have one form each.

use xxhash_rust::xxh64::xxh64;

use crate::ids::Rev;
use crate::json::{self, JsonLimits};

/// The digest of a collection, as it grows.
///
/// ```
/// use tidewire_core::model::digest::Digest;
/// let (mut stored, mut sent) = (Digest::default(), Digest::default());
/// stored.add("a", 7, br#"{"n":1,"z":0}"#);
/// sent.add_canonical("a", 7, br#"{"z":-0,"n":1.0}"#);
/// assert_eq!(stored.text(), sent.text());
/// ```
#[derive(Debug, Default, Clone, Copy)]
pub struct Digest {
    count: u64,
    sum: u64,
}

impl Digest {
    /// Adds an entity whose document is taken for canonical.
    pub fn add(&mut self, id: &str, rev: Rev, doc: &[u8]) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(xxh64(doc, xxh64(id.as_bytes(), rev)));
    }

    /// Adds an entity whose document somebody else may have written.
    pub fn add_canonical(&mut self, id: &str, rev: Rev, doc: &[u8]) {
        match json::parse(doc, JsonLimits::MESSAGE) {
            Ok(value) => self.add(id, rev, &json::write(&value)),
            Err(_) => self.add(id, rev, doc),
        }
    }

    /// As it travels.
    pub fn text(&self) -> String {
        format!("{}-{}", self.count, self.sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(doc: &str) -> String {
        let mut digest = Digest::default();
        digest.add_canonical("a", 1, doc.as_bytes());
        digest.text()
    }

    #[test]
    fn equal_numbers_have_one_digest_and_others_another() {
        for (a, b) in [
            (r#"{"n":-0}"#, r#"{"n":0}"#),
            (r#"{"n":1.0}"#, r#"{"n":1}"#),
            (r#"{"n":1e21}"#, r#"{"n":1000000000000000000000}"#),
            (r#"{"n":1E-7}"#, r#"{"n":0.0000001}"#),
            (r#"{"n":9007199254740993}"#, r#"{"n":9007199254740992}"#),
            (r#"{"b":1,"a":"\u00e9"}"#, r#"{ "a": "é", "b": 1 }"#),
        ] {
            assert_eq!(one(a), one(b), "{a} {b}");
        }
        assert_ne!(one(r#"{"n":1e21}"#), one(r#"{"n":1e20}"#));
        assert_ne!(one(r#"{"n":0}"#), one(r#"{"n":null}"#));
        assert_ne!(one(r#"{"n":"1"}"#), one(r#"{"n":1}"#));
    }

    #[test]
    fn order_does_not_matter_and_every_part_does() {
        let of = |rows: &[(&str, Rev, &str)]| {
            let mut digest = Digest::default();
            for (id, rev, doc) in rows {
                digest.add(id, *rev, doc.as_bytes());
            }
            digest.text()
        };
        let (a, b) = (("a", 1, "{}"), ("b", 2, r#"{"n":1}"#));
        assert_eq!(of(&[a, b]), of(&[b, a]));
        for other in [&[a][..], &[a, b, b], &[("b", 1, "{}"), b], &[("a", 2, "{}"), b], &[a, ("b", 2, r#"{"n":2}"#)]] {
            assert_ne!(of(&[a, b]), of(other), "{other:?}");
        }
        assert_ne!(of(&[("a", 1, "{}"), ("b", 2, "{}")]), of(&[("a", 2, "{}"), ("b", 1, "{}")]));
    }
}
