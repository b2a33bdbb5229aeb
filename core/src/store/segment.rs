//! An immutable block of rows. In any order, in any number of segments: of one key the row with the highest
//! position holds.
//!
//! A row is an entity or a mutation. A *gone* row says that its key has nothing any more; it outlives the rows that
//! it hides.
//!
//! ```text
//! segment   = codec(kind 4): raw length u32 | LZ4 block of rows
//! row       = space | gone | position (8) | len (2) collection | len (2) id | len (4) body
//! ```
//!
//! A row's numbers use seven bits of each byte, so a segment is text once it is unpacked, and what stands in it is read
//! where it stands. In segments of kind 1 they use eight.

use std::ops::Range;
use std::sync::Arc;

use crate::error::{Code, CoreError};
use crate::io::NewSegment;
use crate::json::{Meter, Packed as Lz4, Value};
use crate::limits::SEGMENT_RAW_BYTES;
use crate::log::codec;
use crate::log::kept::Partial;
use crate::store::asked;
use crate::store::directory::Directory;
use crate::store::project;

const SEGMENT_OF_BYTES: u8 = 1;
const SEGMENT: u8 = 4;

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
    pub body: Option<String>,
    /// What it is about, for the directory.
    pub about: u32,
}

/// An unpacked segment: one text.
#[derive(Debug, Clone)]
pub struct Block(Arc<str>);

/// A row where it stands in a [`Block`].
#[derive(Debug, Clone)]
pub struct Found<'a> {
    /// As in [`Row`].
    pub space: Space,
    /// As in [`Row`].
    pub position: u64,
    /// As in [`Row`].
    pub collection: &'a str,
    /// As in [`Row`].
    pub id: &'a str,
    /// Where its body stands.
    pub body: Option<Range<usize>>,
}

/// A segment and what its directory record says.
#[derive(Debug, Clone)]
pub struct Packed {
    /// What is stored.
    pub stored: NewSegment,
    /// The numbers in its directory record.
    pub directory: Directory,
}

/// The text of a stored segment, packed as it is stored. Nothing for what is damaged, or of the first kind.
pub fn packed(bytes: &[u8], meter: &Meter) -> Option<Arc<Lz4>> {
    let (SEGMENT, body) = codec::decode(bytes).ok()? else { return None };
    let (len, block) = body.split_first_chunk::<4>()?;
    Some(Lz4::new(block, u32::from_le_bytes(*len) as usize, meter))
}

/// Bytes of a stored segment's text.
pub fn len(bytes: &[u8]) -> Option<usize> {
    let (_, body) = codec::decode(bytes).ok()?;
    Some(u32::from_le_bytes(*body.first_chunk::<4>()?) as usize)
}

/// Rows as segments, each with its directory record, none over the limit unless one row alone is. Entities and
/// mutations share none: damage to what the server has must not take with it what it has not. Nor do collections of
/// which a part is kept, `parts`, and others: whole segments of theirs are given up for room. The fields that are
/// `asked` for have columns.
pub fn pack(rows: &[Row], parts: &Partial, asked: &Value) -> Vec<Packed> {
    let mut segments = Vec::new();
    let mut start = 0;
    let mut bytes = 0;
    let mut kind = None;
    for (index, row) in rows.iter().enumerate() {
        let size = row_bytes(row);
        let is_part = !parts.is_empty() && parts.contains_key(row.collection.as_str());
        let new = Some((row.space, is_part));
        let other = kind != new;
        kind = new;
        if bytes > 0 && (other || bytes + size > SEGMENT_RAW_BYTES) {
            segments.extend(rows.get(start..index).map(|rows| pack_one(rows, asked)));
            start = index;
            bytes = 0;
        }
        bytes += size;
    }
    if bytes > 0 {
        segments.extend(rows.get(start..).map(|rows| pack_one(rows, asked)));
    }
    segments
}

fn pack_one(rows: &[Row], asked: &Value) -> Packed {
    let mut raw = String::with_capacity(rows.iter().map(row_bytes).sum());
    for row in rows {
        let head = (row.space, row.body.is_none(), row.position);
        put_row(&mut raw, head, &row.collection, &row.id, row.body.as_deref().unwrap_or_default());
    }
    let packed = lz4_flex::block::compress(raw.as_bytes());
    let mut body = Vec::with_capacity(packed.len() + 4);
    body.extend_from_slice(&u32::try_from(raw.len()).unwrap_or(u32::MAX).to_le_bytes());
    body.extend_from_slice(&packed);
    let bytes = codec::encode(SEGMENT, &body);
    let positions = || rows.iter().map(|row| row.position);
    let lowest = positions().min().unwrap_or_default();
    let columns = if asked.is_null() { None } else { project::encode(rows, lowest, &asked::read(asked)) };
    let directory = Directory {
        rows: rows.len() as u64,
        bytes: bytes.len() as u64,
        lowest,
        highest: positions().max().unwrap_or_default(),
        stamp: asked::stamp(asked),
    };
    let about: Vec<u32> = rows.iter().map(|row| row.about).collect();
    Packed { stored: NewSegment { bytes, directory: directory.encode(&about, columns.as_deref()) }, directory }
}

/// About what a row adds to a segment before it is packed.
pub(super) fn row_bytes(row: &Row) -> usize {
    18 + row.collection.len() + row.id.len() + row.body.as_ref().map_or(0, String::len)
}

/// Lengths fit: names and ids are at most 128 bytes.
fn put_row(raw: &mut String, head: (Space, bool, u64), collection: &str, id: &str, body: &str) {
    let (space, gone, position) = head;
    put_number(raw, space as u64, 1);
    put_number(raw, u64::from(gone), 1);
    put_number(raw, position, 8);
    put_number(raw, collection.len() as u64, 2);
    raw.push_str(collection);
    put_number(raw, id.len() as u64, 2);
    raw.push_str(id);
    put_number(raw, body.len() as u64, 4);
    raw.push_str(body);
}

/// A number as `count` bytes of text, the lowest first.
#[expect(clippy::cast_possible_truncation, reason = "seven bits fit")]
pub(crate) fn put_number(raw: &mut String, number: u64, count: usize) {
    for at in 0..count {
        raw.push(char::from((number >> (7 * at)) as u8 & 0x7f));
    }
}

/// What [`put_number`] wrote.
pub(crate) fn number_of(bytes: &[u8]) -> u64 {
    read_number(bytes, 7)
}

fn read_number(bytes: &[u8], bits: u32) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| (number << bits) | u64::from(*byte))
}

impl Block {
    /// A stored segment.
    ///
    /// # Errors
    /// `corrupt` or `format-newer`.
    pub fn unpack(bytes: &[u8]) -> Result<Self, CoreError> {
        let (kind, body) = codec::decode(bytes)?;
        let (len, packed) = body.split_first_chunk::<4>().ok_or_else(corrupt)?;
        let len = u32::from_le_bytes(*len) as usize;
        if !matches!(kind, SEGMENT | SEGMENT_OF_BYTES) || len > RAW_BYTES_MAX {
            return Err(corrupt());
        }
        let raw = lz4_flex::block::decompress(packed, len).map_err(|_| corrupt())?;
        if kind == SEGMENT_OF_BYTES {
            return text_of(&raw).map(|text| Self(text.into())).ok_or_else(corrupt);
        }
        String::from_utf8(raw).map(|text| Self(text.into())).map_err(|_| corrupt())
    }

    /// Its text, which bodies are parts of.
    pub fn text(&self) -> &Arc<str> {
        &self.0
    }

    /// Whether its rows are entities: they share a segment with nothing else.
    pub fn holds_entities(&self) -> bool {
        self.0.as_bytes().first() == Some(&(Space::Entity as u8))
    }

    /// Shows its rows.
    ///
    /// # Errors
    /// `corrupt`.
    pub fn each(&self, then: &mut dyn FnMut(Found<'_>)) -> Result<(), CoreError> {
        let mut reader = Reader { raw: self.0.as_bytes(), at: 0, bits: 7 };
        while reader.at < reader.raw.len() {
            then(reader.row().ok_or_else(corrupt)?);
        }
        Ok(())
    }
}

impl Found<'_> {
    /// By itself, with what it is about.
    pub fn to_row(&self, block: &Block, about: u32) -> Row {
        Row {
            space: self.space,
            position: self.position,
            collection: self.collection.to_owned(),
            id: self.id.to_owned(),
            body: self.body.clone().map(|at| block.text().get(at).unwrap_or_default().to_owned()),
            about,
        }
    }
}

/// A segment of kind 1 as text.
#[inline(never)]
fn text_of(raw: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(raw.len());
    let mut reader = Reader { raw, at: 0, bits: 8 };
    while reader.at < raw.len() {
        let Found { space, position, collection, id, body } = reader.row()?;
        let gone = body.is_none();
        let bytes = raw.get(body.unwrap_or_default())?;
        // The length before an entity's head is a number, too.
        let (head, rest) = if space == Space::Entity && !gone { bytes.split_at_checked(4)? } else { (&[][..], bytes) };
        let mut body = String::with_capacity(bytes.len());
        put_number(&mut body, read_number(head, 8), head.len());
        body.push_str(str::from_utf8(rest).ok()?);
        put_row(&mut text, (space, gone, position), collection, id, &body);
    }
    Some(text)
}

struct Reader<'a> {
    raw: &'a [u8],
    at: usize,
    /// How many bits of a byte a number uses.
    bits: u32,
}

impl<'a> Reader<'a> {
    fn row(&mut self) -> Option<Found<'a>> {
        let space = match self.number(1)? {
            0 => Space::Entity,
            1 => Space::Mutation,
            _ => return None,
        };
        let gone = self.number(1)? == 1;
        let position = self.number(8)?;
        let (collection, id) = (self.text()?, self.text()?);
        let len = usize::try_from(self.number(4)?).ok()?;
        let start = self.at;
        self.take(len)?;
        Some(Found { space, position, collection, id, body: (!gone).then_some(start..self.at) })
    }

    fn text(&mut self) -> Option<&'a str> {
        let len = usize::try_from(self.number(2)?).ok()?;
        str::from_utf8(self.take(len)?).ok()
    }

    fn number(&mut self, count: usize) -> Option<u64> {
        Some(read_number(self.take(count)?, self.bits))
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.raw.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(taken)
    }
}

fn corrupt() -> CoreError {
    CoreError::new(Code::Corrupt, "a stored segment cannot be read; what it held is fetched again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::directory::may_hold;

    fn row(id: usize, bytes: usize) -> Row {
        let body = (0..bytes).map(|i| char::from_u32(((i * 31 + id) % 400) as u32).unwrap()).collect();
        Row {
            space: Space::Entity,
            position: (id as u64) << 40,
            collection: "todos".into(),
            id: id.to_string(),
            body: Some(body),
            about: id as u32,
        }
    }

    fn unpack(bytes: &[u8]) -> Result<Vec<Row>, CoreError> {
        let block = Block::unpack(bytes)?;
        let mut rows = Vec::new();
        block.each(&mut |row| rows.push(row.to_row(&block, row.id.parse().unwrap_or_default())))?;
        Ok(rows)
    }

    #[test]
    fn rows_come_back_and_segments_stay_small() {
        let mut rows: Vec<Row> = (1..2_000).map(|id| row(id, 400)).collect();
        rows.push(Row { body: None, ..row(2_000, 0) });
        let segments = pack(&rows, &Partial::new(), &Value::Null);
        assert!(segments.len() > 4);
        let back: Vec<Row> = segments.iter().flat_map(|packed| unpack(&packed.stored.bytes).unwrap()).collect();
        assert_eq!(back, rows);
        assert_eq!(segments.iter().map(|packed| packed.directory.rows).sum::<u64>(), 2_000);
        let Packed { stored, directory } = &segments[0];
        assert_eq!(Directory::decode(&stored.directory).unwrap(), *directory);
        assert_eq!(directory.bytes, stored.bytes.len() as u64);
        assert!((1..100).all(|id| may_hold(&stored.directory, id)));
    }

    #[test]
    fn segments_of_the_first_kind_are_read() {
        let mut raw = vec![0, 0];
        raw.extend(300_u64.to_le_bytes());
        raw.extend([1, 0, b't', 1, 0, b'a']);
        let head = format!("{{\"rev\":1,\"at\":2,\"g\":[\"{}\"]}}", "g".repeat(120));
        raw.extend(u32::try_from(4 + head.len() + 8).unwrap().to_le_bytes());
        raw.extend(u32::try_from(head.len()).unwrap().to_le_bytes());
        raw.extend(head.as_bytes());
        raw.extend("{\"ü\":1}".as_bytes());
        raw.extend([1, 1, 44, 1, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, b'7', b'.', b'0', 0, 0, 0, 0]);
        let mut body = u32::try_from(raw.len()).unwrap().to_le_bytes().to_vec();
        body.extend(lz4_flex::block::compress(&raw));
        let rows = unpack(&codec::encode(SEGMENT_OF_BYTES, &body)).unwrap();
        let mut length = String::new();
        put_number(&mut length, head.len() as u64, 4);
        let entity = Row {
            space: Space::Entity,
            position: 300,
            collection: "t".into(),
            id: "a".into(),
            body: Some(format!("{length}{head}{{\"ü\":1}}")),
            about: 0,
        };
        let gone = Row {
            space: Space::Mutation,
            position: 300,
            collection: String::new(),
            id: "7.0".into(),
            body: None,
            about: 0,
        };
        assert_eq!(rows, [entity, gone]);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = pack(&[row(1, 40)], &Partial::new(), &Value::Null).remove(0).stored.bytes;
        for index in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[index] ^= 1;
            assert!(unpack(&damaged).is_err(), "byte {index}");
        }
    }
}
