//! A store in memory, with the answers of the one in IndexedDB. It is one tab's alone and ends with it.

use std::cell::RefCell;

use tidewire_core::io::{NewSegment, StoreError, StoreOp, StoreReply};

/// The stores of the log.
#[derive(Default)]
pub(crate) struct Memory(RefCell<Content>);

/// Values by key, in order. New keys are always the highest, so no tree is needed.
type Table = Vec<(u64, Vec<u8>)>;

#[derive(Default)]
struct Content {
    log: Table,
    last_log: u64,
    segments: Table,
    last_segment: u64,
    directories: Table,
    state: Option<Vec<u8>>,
    upto: u64,
    fence: u64,
}

impl Memory {
    pub(crate) fn run(&self, op: StoreOp) -> Result<StoreReply, StoreError> {
        let mut content = self.0.try_borrow_mut().map_err(|_| StoreError::Failed)?;
        Ok(match op {
            StoreOp::Load => StoreReply::Loaded {
                state: content.state.clone(),
                fence: content.fence,
                directories: content.directories.clone(),
                log: content.log_above(content.upto),
            },
            StoreOp::ReadSegments { keys } => {
                StoreReply::Segments(keys.iter().map(|key| (*key, find(&content.segments, *key).cloned())).collect())
            }
            StoreOp::ReadLog { after } => StoreReply::Log(content.log_above(after)),
            StoreOp::Append { records, durability: _ } => {
                let first_key = content.last_log + 1;
                for record in records {
                    content.append(record);
                }
                StoreReply::Appended { first_key }
            }
            StoreOp::Seal { expect, record, segments, state, upto, fence } => {
                if content.last_log + 1 != expect {
                    return Ok(StoreReply::Refused);
                }
                content.append(record);
                let keys = content.add(segments);
                content.state = Some(state);
                content.upto = upto;
                content.fence = fence;
                content.log.retain(|(key, _)| *key > upto);
                StoreReply::Written { keys }
            }
            StoreOp::Clean { fence, victims, segments } => {
                if content.fence != fence || victims.iter().any(|key| find(&content.segments, *key).is_none()) {
                    return Ok(StoreReply::Refused);
                }
                content.segments.retain(|(key, _)| !victims.contains(key));
                content.directories.retain(|(key, _)| !victims.contains(key));
                StoreReply::Written { keys: content.add(segments) }
            }
            StoreOp::Erase => {
                *content = Content::default();
                StoreReply::Erased
            }
            _ => return Err(StoreError::Failed),
        })
    }
}

impl Content {
    fn append(&mut self, record: Vec<u8>) {
        self.last_log += 1;
        self.log.push((self.last_log, record));
    }

    fn log_above(&self, after: u64) -> Table {
        let start = self.log.partition_point(|(key, _)| *key <= after);
        self.log.get(start..).unwrap_or_default().to_vec()
    }

    fn add(&mut self, segments: Vec<NewSegment>) -> Vec<u64> {
        let mut keys = Vec::with_capacity(segments.len());
        for segment in segments {
            self.last_segment += 1;
            self.segments.push((self.last_segment, segment.bytes));
            self.directories.push((self.last_segment, segment.directory));
            keys.push(self.last_segment);
        }
        keys
    }
}

fn find(table: &Table, key: u64) -> Option<&Vec<u8>> {
    let at = table.binary_search_by_key(&key, |(key, _)| *key).ok()?;
    table.get(at).map(|(_, bytes)| bytes)
}
