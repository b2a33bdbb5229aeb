//! A segment's directory record: how much is in it, and what its rows are about.
//!
//! A row is about its entity: a document, an edit that waits, a conflict. Of an edit that is gone only the number is
//! known. Each is a hash of 32 bits, so a directory says where something may be, and never that it is there.
//!
//! ```text
//! directory = codec(kind 5): rows u64 | bytes u64 | lowest u64 | highest u64 | hash u32 of each row
//!             | nothing, or stamp u64 | columns
//! ```
//!
//! The stamp says which fields the [`columns`](crate::store::columns) behind it are about.
//! Of kind 2, as JSON, are those of before: they say nothing of what the rows are about.

use xxhash_rust::xxh64::xxh64;

use crate::error::{Code, CoreError};
use crate::ids::{CONFLICTS, MutationId};
use crate::json::{self, JsonLimits, Value};
use crate::log::codec;
use crate::model::conflict;
use crate::store::columns::Columns;

const HASHED: u8 = 5;

const HEAD_BYTES: usize = 4 * 8;

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
    /// Which fields have columns ([`stamp`](crate::store::asked::stamp)); 0: none.
    pub stamp: u64,
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
    short(hash_of_number(n))
}

/// A hash of a mutation's number.
pub fn hash_of_number(n: MutationId) -> u64 {
    xxh64(&n.0.to_le_bytes(), u64::from(n.1) + 1)
}

/// The part of a hash that a directory has.
#[expect(clippy::cast_possible_truncation, reason = "a part of a hash is a hash")]
pub fn short(hash: u64) -> u32 {
    hash as u32
}

impl Directory {
    /// As stored bytes, with what each row is about, and columns.
    pub fn encode(&self, about: &[u32], columns: Option<&[u8]>) -> Vec<u8> {
        let mut body =
            Vec::with_capacity(HEAD_BYTES + about.len() * 4 + columns.map_or(0, |columns| 8 + columns.len()));
        for number in [self.rows, self.bytes, self.lowest, self.highest] {
            body.extend_from_slice(&number.to_le_bytes());
        }
        for hash in about {
            body.extend_from_slice(&hash.to_le_bytes());
        }
        if self.stamp != 0 {
            body.extend_from_slice(&self.stamp.to_le_bytes());
            body.extend_from_slice(columns.unwrap_or_default());
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
        read.ok_or_else(|| CoreError::new(Code::Corrupt, "a stored directory cannot be read"))
    }

    fn read(body: &[u8]) -> Option<Self> {
        let (head, rest) = body.split_at_checked(HEAD_BYTES)?;
        let (numbers, _) = head.as_chunks::<8>();
        let number = |at: usize| numbers.get(at).copied().map(u64::from_le_bytes);
        let (rows, bytes, lowest, highest) = (number(0)?, number(1)?, number(2)?, number(3)?);
        let (_, behind) = split(rows, rest)?;
        let stamp = behind.first_chunk().copied().map_or(0, u64::from_le_bytes);
        Some(Self { rows, bytes, lowest, highest, stamp })
    }

    fn read_plain(body: &[u8]) -> Option<Self> {
        let value = json::parse(body, JsonLimits::MESSAGE).ok()?;
        let number = |key: &str| value.get(key).and_then(Value::as_u64);
        let (rows, bytes) = (number("rows")?, number("bytes")?);
        Some(Self { rows, bytes, lowest: number("lowest")?, highest: number("highest")?, stamp: 0 })
    }
}

/// The hashes of so many rows, and what stands behind them.
fn split(rows: u64, bytes: &[u8]) -> Option<(&[[u8; 4]], &[u8])> {
    let (hashes, behind) = bytes.split_at_checked(usize::try_from(rows).ok()?.checked_mul(4)?)?;
    Some((hashes.as_chunks().0, behind))
}

/// The hashes in a directory record that was decoded before, and what stands behind them.
fn parts(record: &[u8]) -> Option<(&[[u8; 4]], &[u8])> {
    let Some((HASHED, body)) = codec::checked(record) else { return None };
    let (head, rest) = body.split_at_checked(HEAD_BYTES)?;
    split(u64::from_le_bytes(*head.first_chunk()?), rest)
}

/// Whether the segment of this directory record may hold a row about something.
pub fn may_hold(record: &[u8], about: u32) -> bool {
    parts(record).is_none_or(|(hashes, _)| hashes.contains(&about.to_le_bytes()))
}

/// What the segment of this directory record may hold rows about; `None`: anything.
pub fn abouts(record: &[u8]) -> Option<Vec<u32>> {
    Some(parts(record)?.0.iter().map(|hash| u32::from_le_bytes(*hash)).collect())
}

/// The columns behind a directory, if there are any.
pub fn columns_of<'a>(record: &'a [u8], directory: &Directory) -> Option<Columns<'a>> {
    let (_, behind) = parts(record)?;
    Columns::read(behind.get(8..)?, directory.lowest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: u8 = 2;

    #[test]
    fn a_directory_says_what_its_segment_may_hold() {
        let directory = Directory { rows: 2, bytes: 300, lowest: 7, highest: u64::MAX, stamp: 0 };
        let (a, gone) = (about_entity("todos", "a"), about_gone(MutationId(3, 1)));
        let record = directory.encode(&[a, gone], None);
        assert_eq!(Directory::decode(&record), Ok(directory));
        let stamped = Directory { stamp: 9, ..directory };
        assert_eq!(Directory::decode(&stamped.encode(&[a, gone], Some(&[0, 1]))), Ok(stamped));
        assert_eq!(abouts(&stamped.encode(&[a, gone], None)), Some(vec![a, gone]));
        assert!(may_hold(&record, a) && may_hold(&record, gone));
        assert!(!may_hold(&record, about_entity("todo", "sa")) && !may_hold(&record, about_gone(MutationId(3, 0))));
        assert!(!may_hold(&Directory { rows: 0, ..directory }.encode(&[], None), a));
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
        assert_eq!(Directory::decode(&record), Ok(Directory { rows: 2, bytes: 300, lowest: 7, highest: 9, stamp: 0 }));
        assert!(may_hold(&record, 1));
        assert!(Directory::decode(&codec::encode(PLAIN, b"{}")).is_err());
        assert!(Directory::decode(&codec::encode(HASHED, &[1; 31])).is_err());
    }
}
