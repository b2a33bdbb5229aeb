//! An immutable block of rows. In any order, in any number of segments: of one key the row with the highest
//! position holds.
//!
//! A row is an entity or a mutation. A *gone* row says that its key has nothing any more; it outlives the rows that
//! it hides.
//!
//! ```text
//! segment   = codec(kind 1): raw length u32 | LZ4 block of rows
//! row       = space u8 | gone u8 | position u64 | len u16 collection | len u16 id | len u32 body
//! directory = codec(kind 2): JSON of `Directory`
//! ```

use serde::{Deserialize, Serialize};

use crate::error::{Code, CoreError};
use crate::json::{self, JsonLimits, Value};
use crate::limits::SEGMENT_RAW_BYTES;
use crate::log::codec;

const SEGMENT: u8 = 1;
const DIRECTORY: u8 = 2;

/// A segment's raw size never passes this, so that a damaged length cannot ask for all memory.
const RAW_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Space {
    /// A confirmed document: collection and id.
    Entity,
    /// A queued mutation or a dead letter: the collection is empty, the id is its number.
    Mutation,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What it is about.
    pub space: Space,
    /// The log key that wrote it.
    pub position: u64,
    /// The collection.
    pub collection: String,
    /// The id in it.
    pub id: String,
    /// What stands there; `None`: nothing any more.
    pub body: Option<Vec<u8>>,
}

/// A segment's directory record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// Rows as segments, each with its directory record, none over the limit unless one row alone is. Entities and
/// mutations share none: damage to what the server has must not take with it what it has not.
pub fn pack(rows: &[Row]) -> Vec<(Vec<u8>, Directory)> {
    let mut segments = Vec::new();
    let mut start = 0;
    let mut bytes = 0;
    let mut space = None;
    for (index, row) in rows.iter().enumerate() {
        let size = row_bytes(row);
        let other = space.replace(row.space) != Some(row.space);
        if bytes > 0 && (other || bytes + size > SEGMENT_RAW_BYTES) {
            segments.extend(rows.get(start..index).map(pack_one));
            start = index;
            bytes = 0;
        }
        bytes += size;
    }
    if bytes > 0 {
        segments.extend(rows.get(start..).map(pack_one));
    }
    segments
}

fn pack_one(rows: &[Row]) -> (Vec<u8>, Directory) {
    let mut raw = Vec::with_capacity(rows.iter().map(row_bytes).sum());
    for row in rows {
        raw.push(row.space as u8);
        raw.push(u8::from(row.body.is_none()));
        raw.extend_from_slice(&row.position.to_le_bytes());
        put_text(&mut raw, &row.collection);
        put_text(&mut raw, &row.id);
        let body = row.body.as_deref().unwrap_or_default();
        raw.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
        raw.extend_from_slice(body);
    }
    let packed = lz4_flex::block::compress(&raw);
    let mut body = Vec::with_capacity(packed.len() + 4);
    body.extend_from_slice(&u32::try_from(raw.len()).unwrap_or(u32::MAX).to_le_bytes());
    body.extend_from_slice(&packed);
    let bytes = codec::encode(SEGMENT, &body);
    let positions = || rows.iter().map(|row| row.position);
    let directory = Directory {
        rows: rows.len() as u64,
        bytes: bytes.len() as u64,
        lowest: positions().min().unwrap_or_default(),
        highest: positions().max().unwrap_or_default(),
    };
    (bytes, directory)
}

fn row_bytes(row: &Row) -> usize {
    18 + row.collection.len() + row.id.len() + row.body.as_ref().map_or(0, Vec::len)
}

/// Lengths fit: names and ids are at most 128 bytes.
fn put_text(raw: &mut Vec<u8>, text: &str) {
    raw.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
    raw.extend_from_slice(text.as_bytes());
}

/// The rows of a stored segment.
///
/// # Errors
/// `corrupt` or `format-newer`.
pub fn unpack(bytes: &[u8]) -> Result<Vec<Row>, CoreError> {
    let (kind, body) = codec::decode(bytes)?;
    let (len, packed) = body.split_first_chunk::<4>().ok_or_else(corrupt)?;
    let len = u32::from_le_bytes(*len) as usize;
    if kind != SEGMENT || len > RAW_BYTES_MAX {
        return Err(corrupt());
    }
    let raw = lz4_flex::block::decompress(packed, len).map_err(|_| corrupt())?;
    let mut reader = Reader(&raw);
    let mut rows = Vec::new();
    while !reader.0.is_empty() {
        rows.push(reader.row().ok_or_else(corrupt)?);
    }
    Ok(rows)
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn row(&mut self) -> Option<Row> {
        let space = match self.take(1)? {
            [0] => Space::Entity,
            [1] => Space::Mutation,
            _ => return None,
        };
        let gone = self.take(1)? == [1];
        let position = u64::from_le_bytes(self.take(8)?.try_into().ok()?);
        let collection = self.text()?;
        let id = self.text()?;
        let len = u32::from_le_bytes(self.take(4)?.try_into().ok()?);
        let body = self.take(len as usize)?.to_vec();
        Some(Row { space, position, collection, id, body: (!gone).then_some(body) })
    }

    fn text(&mut self) -> Option<String> {
        let len = u16::from_le_bytes(self.take(2)?.try_into().ok()?);
        String::from_utf8(self.take(usize::from(len))?.to_vec()).ok()
    }

    fn take(&mut self, len: usize) -> Option<&[u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }
}

impl Directory {
    /// As stored bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(DIRECTORY, json::to_text(self).as_bytes())
    }

    /// Reads stored bytes.
    ///
    /// # Errors
    /// `corrupt` or `format-newer`.
    pub fn decode(bytes: &[u8]) -> Result<Self, CoreError> {
        let (_, body) = codec::decode(bytes)?;
        let value = json::parse(body, JsonLimits::MESSAGE).map_err(|_| corrupt())?;
        let number = |key: &str| value.get(key).and_then(Value::as_u64).ok_or_else(corrupt);
        Ok(Self {
            rows: number("rows")?,
            bytes: number("bytes")?,
            lowest: number("lowest")?,
            highest: number("highest")?,
        })
    }
}

fn corrupt() -> CoreError {
    CoreError::new(Code::Corrupt, "a stored segment cannot be read; what it held is fetched again")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: usize, bytes: usize) -> Row {
        let body = (0..bytes).map(|i| (i * 31 + id) as u8).collect();
        Row {
            space: Space::Entity,
            position: id as u64,
            collection: "todos".into(),
            id: id.to_string(),
            body: Some(body),
        }
    }

    #[test]
    fn rows_come_back_and_segments_stay_small() {
        let mut rows: Vec<Row> = (1..2_000).map(|id| row(id, 400)).collect();
        rows.push(Row { body: None, ..row(2_000, 0) });
        let segments = pack(&rows);
        assert!(segments.len() > 4);
        let back: Vec<Row> = segments.iter().flat_map(|(bytes, _)| unpack(bytes).unwrap()).collect();
        assert_eq!(back, rows);
        assert_eq!(segments.iter().map(|(_, d)| d.rows).sum::<u64>(), 2_000);
        let (bytes, directory) = &segments[0];
        assert_eq!(Directory::decode(&directory.encode()).unwrap(), *directory);
        assert_eq!(directory.bytes, bytes.len() as u64);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let (bytes, _) = pack(&[row(1, 40)]).remove(0);
        for index in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[index] ^= 1;
            assert!(unpack(&damaged).is_err(), "byte {index}");
        }
    }
}
