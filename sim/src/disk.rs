//! One device's store, as IndexedDB behaves: autoincrement keys that an abort gives back, transactions whole or not at
//! all.

use std::collections::BTreeMap;
use std::rc::Rc;

use tidewire_core::io::{Durability, NewSegment, StoreError, StoreOp, StoreReply};

/// A store.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    log: BTreeMap<u64, Rc<Vec<u8>>>,
    next_key: u64,
    segments: BTreeMap<u64, Rc<Vec<u8>>>,
    directories: BTreeMap<u64, Vec<u8>>,
    next_segment: u64,
    state: Option<Vec<u8>>,
    upto: u64,
    fence: u64,
    /// As it was before the first change that a loss of power takes along.
    safe: Option<Box<Self>>,
    /// How often it was deleted: whoever has an older one open is told so.
    pub(crate) deletions: u64,
}

impl Disk {
    /// Carries out one transaction.
    ///
    /// # Errors
    /// None of its own: who injects one does not ask.
    pub(crate) fn carry_out(&mut self, op: StoreOp) -> Result<StoreReply, StoreError> {
        self.note_safe(&op);
        Ok(match op {
            StoreOp::Load => StoreReply::Loaded {
                state: self.state.clone(),
                fence: self.fence,
                directories: self.directories.iter().map(|(key, bytes)| (*key, bytes.clone())).collect(),
                log: self.above(self.upto),
            },
            StoreOp::ReadSegments { keys } => StoreReply::Segments(
                keys.iter().map(|key| (*key, self.segments.get(key).map(|bytes| bytes.to_vec()))).collect(),
            ),
            StoreOp::ReadLog { after } => StoreReply::Log(self.above(after)),
            StoreOp::Append { records, .. } => {
                let first_key = self.next_key + 1;
                for record in records.iter() {
                    self.next_key += 1;
                    self.log.insert(self.next_key, Rc::new(record.clone()));
                }
                StoreReply::Appended { first_key }
            }
            StoreOp::Seal { expect, record, segments, state, upto, fence } => {
                if self.next_key + 1 != expect {
                    return Ok(StoreReply::Refused);
                }
                self.next_key = expect;
                self.log.insert(expect, Rc::new(record));
                self.log = self.log.split_off(&(upto + 1));
                self.state = Some(state);
                self.upto = upto;
                self.fence = fence;
                StoreReply::Written { keys: self.add(segments) }
            }
            StoreOp::Clean { fence, victims, segments } => {
                if fence != self.fence || victims.iter().any(|key| !self.segments.contains_key(key)) {
                    return Ok(StoreReply::Refused);
                }
                for key in victims {
                    self.segments.remove(&key);
                    self.directories.remove(&key);
                }
                StoreReply::Written { keys: self.add(segments) }
            }
            StoreOp::Erase => {
                self.delete();
                StoreReply::Erased
            }
            _ => return Err(StoreError::Failed),
        })
    }

    /// The browser deletes the database: it is made anew by whoever opens it next.
    pub(crate) fn delete(&mut self) {
        *self = Self { deletions: self.deletions + 1, ..Self::default() };
    }

    /// Somebody empties its stores, as developer tools do: it stays open, and its keys go on.
    pub(crate) fn clear(&mut self) {
        let Self { next_key, next_segment, deletions, .. } = *self;
        *self = Self { next_key, next_segment, deletions, ..Self::default() };
    }

    /// The newest key of the log.
    pub(crate) fn last_key(&self) -> u64 {
        self.next_key
    }

    /// What is stored for certain makes certain what came before it.
    fn note_safe(&mut self, op: &StoreOp) {
        let is_relaxed = matches!(op, StoreOp::Append { durability: Durability::Relaxed, .. });
        let is_write = !matches!(op, StoreOp::Load | StoreOp::ReadSegments { .. } | StoreOp::ReadLog { .. });
        if is_relaxed && self.safe.is_none() {
            self.safe = Some(Box::new(self.clone()));
        } else if is_write && !is_relaxed {
            self.safe = None;
        }
    }

    /// The power is gone: so is what was not stored for certain. Returns whether that was anything.
    pub(crate) fn lose_power(&mut self) -> bool {
        let safe = self.safe.take();
        let lost = safe.is_some();
        if let Some(safe) = safe {
            *self = *safe;
        }
        lost
    }

    /// A bit of a record or of a segment is another. Returns whether there was any.
    pub(crate) fn flip(&mut self, pick: usize) -> bool {
        let count = self.log.len() + self.segments.len();
        let mut stored = self.log.values_mut().chain(self.segments.values_mut());
        let Some(bytes) = stored.nth(pick % count.max(1)) else { return false };
        let bytes = Rc::make_mut(bytes);
        let at = pick * 31 % bytes.len().max(1);
        bytes.get_mut(at).map(|byte| *byte ^= 1 << (pick % 8)).is_some()
    }

    /// Nothing is stored.
    pub(crate) fn is_empty(&self) -> bool {
        self.log.is_empty() && self.state.is_none()
    }

    fn above(&self, after: u64) -> Vec<(u64, Vec<u8>)> {
        self.log.range(after + 1..).map(|(key, bytes)| (*key, bytes.to_vec())).collect()
    }

    fn add(&mut self, segments: Vec<NewSegment>) -> Vec<u64> {
        let one = |segment: NewSegment| {
            self.next_segment += 1;
            self.segments.insert(self.next_segment, Rc::new(segment.bytes));
            self.directories.insert(self.next_segment, segment.directory);
            self.next_segment
        };
        segments.into_iter().map(one).collect()
    }
}
