//! One profile's store, as IndexedDB behaves: autoincrement keys that an abort gives back, transactions whole or
//! not at all.

use std::collections::BTreeMap;

use tidewire_core::io::{NewSegment, StoreError, StoreOp, StoreReply};

#[derive(Debug, Clone, Default)]
pub struct Disk {
    pub log: BTreeMap<u64, Vec<u8>>,
    pub next_key: u64,
    pub segments: BTreeMap<u64, Vec<u8>>,
    pub directories: BTreeMap<u64, Vec<u8>>,
    pub next_segment: u64,
    pub state: Option<Vec<u8>>,
    pub upto: u64,
    pub fence: u64,
    pub appends: usize,
    pub seals: usize,
    pub cleans: usize,
    pub loads: usize,
    /// Everything that it was asked.
    pub operations: usize,
    /// Whatever their key, seals are not carried out.
    pub refuses_seals: bool,
    /// So many bytes fit.
    pub bytes_max: Option<usize>,
}

impl Disk {
    pub fn carry_out(&mut self, op: StoreOp) -> Result<StoreReply, StoreError> {
        self.operations += 1;
        let bytes = self.bytes() + added(&op);
        if self.bytes_max.is_some_and(|max| added(&op) > 0 && bytes > max) {
            return Err(StoreError::Quota);
        }
        Ok(match op {
            StoreOp::Load => {
                self.loads += 1;
                StoreReply::Loaded {
                    state: self.state.clone(),
                    fence: self.fence,
                    directories: self.directories.clone().into_iter().collect(),
                    log: self.above(self.upto),
                }
            }
            StoreOp::ReadSegments { keys } => {
                StoreReply::Segments(keys.iter().map(|key| (*key, self.segments.get(key).cloned())).collect())
            }
            StoreOp::ReadLog { after } => StoreReply::Log(self.above(after)),
            StoreOp::Append { records, .. } => {
                self.appends += 1;
                let first_key = self.next_key + 1;
                for record in records.iter() {
                    self.next_key += 1;
                    self.log.insert(self.next_key, record.clone());
                }
                StoreReply::Appended { first_key }
            }
            StoreOp::Seal { expect, record, segments, state, upto, fence } => {
                if self.refuses_seals || self.next_key + 1 != expect {
                    return Ok(StoreReply::Refused);
                }
                self.seals += 1;
                self.next_key = expect;
                self.log.insert(expect, record);
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
                self.cleans += 1;
                for key in victims {
                    self.segments.remove(&key);
                    self.directories.remove(&key);
                }
                StoreReply::Written { keys: self.add(segments) }
            }
            StoreOp::Erase => {
                *self = Self::default();
                StoreReply::Erased
            }
            _ => return Err(StoreError::Failed),
        })
    }

    /// What is stored, keys not counted.
    pub fn bytes(&self) -> usize {
        let all = self.log.values().chain(self.segments.values()).chain(self.directories.values()).chain(&self.state);
        all.map(Vec::len).sum()
    }

    /// Nothing more fits.
    pub fn fill(&mut self) {
        self.bytes_max = Some(self.bytes());
    }

    fn above(&self, after: u64) -> Vec<(u64, Vec<u8>)> {
        self.log.range(after + 1..).map(|(key, bytes)| (*key, bytes.clone())).collect()
    }

    fn add(&mut self, segments: Vec<NewSegment>) -> Vec<u64> {
        let one = |segment: NewSegment| {
            self.next_segment += 1;
            self.segments.insert(self.next_segment, segment.bytes);
            self.directories.insert(self.next_segment, segment.directory);
            self.next_segment
        };
        segments.into_iter().map(one).collect()
    }
}

/// What an operation writes. What it deletes makes room for the next one only.
fn added(op: &StoreOp) -> usize {
    let bytes = |all: &[NewSegment]| all.iter().map(|one| one.bytes.len() + one.directory.len()).sum::<usize>();
    match op {
        StoreOp::Append { records, .. } => records.iter().map(Vec::len).sum(),
        StoreOp::Seal { record, segments, state, .. } => record.len() + state.len() + bytes(segments),
        StoreOp::Clean { segments, .. } => bytes(segments),
        _ => 0,
    }
}
