//! A store in memory, with the answers of the one in IndexedDB. It is one tab's alone and ends with it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tidewire_core::io::{NewSegment, StoreError, StoreOp, StoreReply};

/// The stores of the log, as maps.
#[derive(Default)]
pub(crate) struct Memory(RefCell<Content>);

#[derive(Default)]
struct Content {
    log: BTreeMap<u64, Vec<u8>>,
    last_log: u64,
    segments: BTreeMap<u64, Vec<u8>>,
    last_segment: u64,
    directories: BTreeMap<u64, Vec<u8>>,
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
                directories: content.directories.iter().map(|(key, bytes)| (*key, bytes.clone())).collect(),
                log: content.log_above(content.upto),
            },
            StoreOp::ReadSegments { keys } => {
                StoreReply::Segments(keys.iter().map(|key| (*key, content.segments.get(key).cloned())).collect())
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
                content.log.retain(|key, _| *key > upto);
                StoreReply::Written { keys }
            }
            StoreOp::Clean { fence, victims, segments } => {
                if content.fence != fence || victims.iter().any(|key| !content.segments.contains_key(key)) {
                    return Ok(StoreReply::Refused);
                }
                for key in victims {
                    content.segments.remove(&key);
                    content.directories.remove(&key);
                }
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
        self.log.insert(self.last_log, record);
    }

    fn log_above(&self, after: u64) -> Vec<(u64, Vec<u8>)> {
        self.log.range(after.saturating_add(1)..).map(|(key, bytes)| (*key, bytes.clone())).collect()
    }

    fn add(&mut self, segments: Vec<NewSegment>) -> Vec<u64> {
        let mut keys = Vec::with_capacity(segments.len());
        for segment in segments {
            self.last_segment += 1;
            self.segments.insert(self.last_segment, segment.bytes);
            self.directories.insert(self.last_segment, segment.directory);
            keys.push(self.last_segment);
        }
        keys
    }
}
