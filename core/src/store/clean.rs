//! Dead space: rows that a newer row has replaced. A sweep rewrites a few segments at a time, the oldest first, and
//! keeps what lives.
//!
//! Copies keep their position, so a reader that meets a row twice loses nothing. The order of the segments' keys
//! says nothing.

use crate::error::CoreError;
use crate::ids::MutationId;
use crate::json::Raw;
use crate::limits::{CLEAN_DEAD_PERCENT, CLEAN_SEGMENTS_SLICE, SEGMENT_BYTES_MAX};
use crate::small::SmallMap;
use crate::store::directory::{Directory, about_entity, about_gone};
use crate::store::seal::MutationRow;
use crate::store::segment::{Block, Found, Row, Space};
use crate::store::state::State;

/// The segments of a store, by key.
pub type Directories = SmallMap<u64, Directory>;

/// Below this many stored bytes dead space costs nothing worth a rewrite.
const WORTH_BYTES: u64 = 1024 * 1024;

/// What there is to sweep, or what the last sweep left: nobody sweeps again for that.
#[derive(Debug, Default, Clone, Copy)]
pub struct Amount {
    rows: u64,
    /// Segments that others could be joined with.
    small: usize,
}

impl Amount {
    /// Of a store.
    pub fn of(directories: &Directories) -> Self {
        let small = directories.values().filter(|d| d.bytes < SEGMENT_BYTES_MAX as u64 / 4).count();
        Self { rows: directories.values().map(|d| d.rows).sum(), small }
    }
}

/// Whether so many rows are dead, or so many segments small, that a sweep pays. `left` is what the last one left.
pub fn is_due(state: &State, directories: &Directories, left: Amount) -> bool {
    let bytes: u64 = directories.values().map(|d| d.bytes).sum();
    let Amount { rows, small } = Amount::of(directories);
    let confirmed: usize = state.entities.values().map(|table| table.count(&|e| e.confirmed.is_some())).sum();
    let living = (confirmed + state.queue.len() + state.letters.len() + state.journal.len()) as u64;
    let dead = rows.saturating_sub(living) * 100 > rows * CLEAN_DEAD_PERCENT;
    (bytes > WORTH_BYTES && dead && rows > left.rows + left.rows / 8) || small > left.small + 4 * CLEAN_SEGMENTS_SLICE
}

/// Segments without the columns that `stamp` stands for, if so much is stored that a first page is worth them.
pub fn without_columns(directories: &Directories, stamp: u64) -> Vec<u64> {
    let bytes: u64 = directories.values().map(|d| d.bytes).sum();
    if stamp == 0 || bytes < WORTH_BYTES {
        return Vec::new();
    }
    let lacking = directories.iter().filter(|(_, directory)| directory.stamp != stamp);
    lacking.map(|(key, _)| *key).take(CLEAN_SEGMENTS_SLICE).collect()
}

/// The next slice of a sweep: keys above `after`, oldest first.
pub fn slice(directories: &Directories, after: u64, through: u64) -> Vec<u64> {
    let keys = directories.keys().copied().filter(|key| *key > after && *key <= through);
    keys.take(CLEAN_SEGMENTS_SLICE).collect()
}

/// The rows of a stored segment.
///
/// # Errors
/// `corrupt` or `format-newer`.
pub fn unpack(bytes: &[u8]) -> Result<Vec<Row>, CoreError> {
    let block = Block::unpack(bytes)?;
    let mut rows = Vec::new();
    block.each(&mut |found| rows.push(found.to_row(&block, about(&block, &found))))?;
    Ok(rows)
}

fn about(block: &Block, row: &Found<'_>) -> u32 {
    let edit = || {
        let raw = Raw::part(block.text(), row.body.clone()?);
        MutationRow::read(&raw).ok()?.into_edit().ok()
    };
    match row.space {
        Space::Entity => about_entity(row.collection, row.id),
        Space::Mutation => match edit() {
            Some(edit) => about_entity(edit.collection.as_str(), edit.id.as_str()),
            None => number(row.id).map_or(0, about_gone),
        },
    }
}

/// The number of a mutation by the name of its row.
pub(super) fn number(id: &str) -> Option<MutationId> {
    let (key, index) = id.split_once('.')?;
    Some(MutationId(key.parse().ok()?, index.parse().ok()?))
}

/// What lives of a slice's rows. A gone row stays while a segment outside the slice may hold an older row of its key.
pub fn survivors(state: &State, directories: &Directories, victims: &[u64], rows: Vec<Row>) -> Vec<Row> {
    let outside = directories.iter().filter(|(key, _)| !victims.contains(key)).map(|(_, d)| d.lowest).min();
    rows.into_iter()
        .filter(|row| match row.body {
            None => outside.is_some_and(|lowest| lowest <= row.position) && !is_there(state, row),
            Some(_) => position(state, row) == Some(row.position),
        })
        .collect()
}

fn is_there(state: &State, row: &Row) -> bool {
    position(state, row).is_some_and(|position| position > row.position)
}

/// The position of what the state has under a row's key.
fn position(state: &State, row: &Row) -> Option<u64> {
    match row.space {
        Space::Entity => {
            let entity = state.entity(&row.collection, &row.id)?;
            entity.confirmed.as_ref().map(|_| entity.position)
        }
        Space::Mutation => {
            let n = number(&row.id)?;
            let queued = state.queue.get(&n).map(|entry| entry.position);
            let kept = || state.journal.get(&n).map(|kept| kept.position);
            queued.or_else(|| state.letters.get(&n).map(|letter| letter.position)).or_else(kept)
        }
    }
}
