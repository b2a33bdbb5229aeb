//! A segment's directory record: how much is in it, and what its rows are about.
//!
//! A row is about its entity: a document, an edit that waits, a conflict. Of an edit that is gone only the number is
//! known. Each is a hash of 32 bits, so a directory says where something may be, and never that it is there.
//!
//! ```text
//! directory = codec(kind 5): rows u64 | bytes u64 | lowest u64 | highest u64 | hash u32 of each row
//! ```
//!
//! Of kind 2, as JSON, are those of before: they say nothing of what the rows are about.

use xxhash_rust::xxh64::xxh64;

use crate::error::{Code, CoreError};
use crate::ids::{CONFLICTS, MutationId};
use crate::json::{self, JsonLimits, Value};
use crate::log::codec;
use crate::model::conflict;

const HASHED: u8 = 5;

const NUMBERS: usize = 4;

/// The numbers of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Directory {
    /// Rows in it.
    pub rows: u64,
    /// Its stored bytes.
    pub bytes: u64,
    /// The lowest position in it.
    pub lowest: u64,
    /// The highest position in it.
    pub highest: u64,
}

/// What a row about an entity, or about one of its conflicts, has.
pub fn about_entity(collection: &str, id: &str) -> u32 {
    if collection == CONFLICTS
        && let Some(entity) = conflict::entity_of(id)
    {
        return short(entity);
    }
    short(conflict::hash_of_entity(collection, id))
}

/// What the row of a mutation has that is gone.
pub fn about_gone(n: MutationId) -> u32 {
    short(xxh64(&n.0.to_le_bytes(), u64::from(n.1) + 1))
}

#[expect(clippy::cast_possible_truncation, reason = "a part of a hash is a hash")]
fn short(hash: u64) -> u32 {
    hash as u32
}

impl Directory {
    /// As stored bytes, with what each row is about.
    pub fn encode(&self, about: &[u32]) -> Vec<u8> {
        let mut body = Vec::with_capacity(NUMBERS * 8 + about.len() * 4);
        for number in [self.rows, self.bytes, self.lowest, self.highest] {
            body.extend_from_slice(&number.to_le_bytes());
        }
        for hash in about {
            body.extend_from_slice(&hash.to_le_bytes());
        }
        codec::encode(HASHED, &body)
    }

    /// Reads stored bytes.
    ///
    /// # Errors
    /// `corrupt` or `format-newer`.
    pub fn decode(bytes: &[u8]) -> Result<Self, CoreError> {
        let (kind, body) = codec::decode(bytes)?;
        let read = if kind == HASHED { Self::read(body) } else { Self::read_plain(body) };
        let [rows, bytes, lowest, highest] =
            read.ok_or_else(|| CoreError::new(Code::Corrupt, "a stored directory cannot be read"))?;
        Ok(Self { rows, bytes, lowest, highest })
    }

    fn read(body: &[u8]) -> Option<[u64; NUMBERS]> {
        let mut numbers = [0; NUMBERS];
        let (head, _) = body.as_chunks::<8>();
        for (number, bytes) in numbers.iter_mut().zip(head.get(..NUMBERS)?) {
            *number = u64::from_le_bytes(*bytes);
        }
        Some(numbers)
    }

    fn read_plain(body: &[u8]) -> Option<[u64; NUMBERS]> {
        let value = json::parse(body, JsonLimits::MESSAGE).ok()?;
        let number = |key: &str| value.get(key).and_then(Value::as_u64);
        Some([number("rows")?, number("bytes")?, number("lowest")?, number("highest")?])
    }
}

/// Whether the segment of this directory record may hold a row about something.
pub fn may_hold(record: &[u8], about: u32) -> bool {
    let Ok((HASHED, body)) = codec::decode(record) else { return true };
    let (hashes, _) = body.get(NUMBERS * 8..).unwrap_or_default().as_chunks::<4>();
    hashes.contains(&about.to_le_bytes())
}

/// What the segment of this directory record may hold rows about; `None`: anything.
pub fn abouts(record: &[u8]) -> Option<Vec<u32>> {
    let Ok((HASHED, body)) = codec::decode(record) else { return None };
    let (hashes, _) = body.get(NUMBERS * 8..).unwrap_or_default().as_chunks::<4>();
    Some(hashes.iter().map(|hash| u32::from_le_bytes(*hash)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: u8 = 2;

    #[test]
    fn a_directory_says_what_its_segment_may_hold() {
        let directory = Directory { rows: 2, bytes: 300, lowest: 7, highest: u64::MAX };
        let (a, gone) = (about_entity("todos", "a"), about_gone(MutationId(3, 1)));
        let record = directory.encode(&[a, gone]);
        assert_eq!(Directory::decode(&record), Ok(directory));
        assert!(may_hold(&record, a) && may_hold(&record, gone));
        assert!(!may_hold(&record, about_entity("todo", "sa")) && !may_hold(&record, about_gone(MutationId(3, 0))));
        assert!(!may_hold(&Directory { rows: 0, ..directory }.encode(&[]), a));
    }

    #[test]
    fn a_conflict_is_about_its_entity() {
        let id = format!("{}0000-x", conflict::prefix("todos", "a"));
        assert_eq!(about_entity(CONFLICTS, &id), about_entity("todos", "a"));
        assert_ne!(about_entity(CONFLICTS, "a name that no conflict has"), about_entity("todos", "a"));
    }

    #[test]
    fn one_that_says_less_may_hold_anything() {
        let record = codec::encode(PLAIN, br#"{"rows":2,"bytes":300,"lowest":7,"highest":9}"#);
        assert_eq!(Directory::decode(&record), Ok(Directory { rows: 2, bytes: 300, lowest: 7, highest: 9 }));
        assert!(may_hold(&record, 1));
        assert!(Directory::decode(&codec::encode(PLAIN, b"{}")).is_err());
        assert!(Directory::decode(&codec::encode(HASHED, &[1; 31])).is_err());
    }
}
