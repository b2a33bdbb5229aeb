//! Opening: meta, directories and log in one transaction, then the segments in waves, then the log is folded.

use crate::json;

use crate::error::{Code, CoreError};
use crate::ids::ReplicaId;
use crate::io::{Event, Now, Output, StoreError, StoreOp};
use crate::log::record::{Record, Replica as Identity};
use crate::replica::early::Round;
use crate::replica::lane::Job;
use crate::replica::room::Room;
use crate::replica::tabs::{LOOK, Message};
use crate::replica::write::Writes;
use crate::replica::{Phase, Replica};
use crate::store::clean::Directories;
use crate::store::directory::Directory;
use crate::store::load::Loading;
use crate::store::seal::{self, Summary};
use crate::store::segment::Block;
use crate::store::state::State;

/// Bytes of segments read at once: parallel gets are fastest, but their buffers should not pile up.
const WAVE_BYTES: u64 = 1024 * 1024;

/// A segment may be cleaned away between the directories and its read; then everything is read again, so often at
/// the most.
const RELOADS_MAX: u32 = 5;

/// A cold open in progress.
#[derive(Debug, Default)]
pub struct Boot {
    pub(crate) summary: Summary,
    loading: Loading,
    pub(crate) directories: Directories,
    /// The records of the directories.
    pub(crate) records: Vec<(u64, Vec<u8>)>,
    pub(crate) log: Vec<(u64, Vec<u8>)>,
    /// Segments that are not read yet, the last one first.
    pub(crate) wanted: Vec<u64>,
    /// Answers before the end.
    pub(crate) round: Option<Round>,
    /// Segments that were read for a page, which is answered before they are taken in.
    later: Vec<(Block, Vec<u8>)>,
    /// So many of the pages that are wanted were looked at.
    pub(crate) pages: usize,
    /// Something cannot be read, so nobody knows what it held.
    pub(crate) damaged: bool,
}

impl Replica {
    /// Begins to open.
    pub fn open(&mut self, now: Now) {
        if self.phase == Phase::New {
            self.phase = Phase::Opening;
            self.start_job(StoreOp::Load, Job::Load);
        }
        self.advance(now);
    }

    /// Reads everything again, because something was sealed or cleaned away unread.
    pub(crate) fn reload(&mut self) {
        self.maintenance.reloads += 1;
        if self.maintenance.reloads > RELOADS_MAX {
            return self.open_failed(StoreError::Failed);
        }
        self.phase = Phase::Opening;
        self.start_job(StoreOp::Load, Job::Load);
    }

    pub(crate) fn loaded(
        &mut self,
        now: Now,
        summary: Option<Vec<u8>>,
        fence: u64,
        directories: Vec<(u64, Vec<u8>)>,
        log: Vec<(u64, Vec<u8>)>,
    ) {
        self.maintenance.fence = fence;
        let mut damaged = false;
        let summary = match summary.as_deref().map(Summary::decode).transpose() {
            Ok(summary) => summary.unwrap_or_default(),
            Err(error) if error.code == Code::FormatNewer => return self.open_failed(StoreError::FormatNewer),
            Err(error) => {
                // The rows are whole; what the summary held is asked of the server again.
                self.set_aside(&error);
                damaged = true;
                Summary { upto: log.first().map_or(0, |(key, _)| key - 1), ..Summary::default() }
            }
        };
        let mut boot = Boot { summary, log, damaged, ..Boot::default() };
        for (key, bytes) in &directories {
            match Directory::decode(bytes) {
                Ok(directory) => {
                    boot.directories.insert(*key, directory);
                }
                Err(error) => self.set_aside(&error),
            }
        }
        boot.damaged |= boot.directories.len() != directories.len();
        boot.records = directories;
        let holds_last = boot.log.iter().any(|(key, _)| *key == self.state.last);
        if boot.summary.upto < self.state.last && !holds_last {
            return self.log_emptied(now, boot);
        }
        boot.wanted = boot.directories.keys().rev().copied().collect();
        self.next_wave(boot);
    }

    /// Records that this tab has folded are neither in the segments nor in the log: somebody emptied it, and its
    /// numbers went on. Unlike in a replaced store no number comes a second time, so this tab's state stays what it
    /// is, sent mutations keep their names, and all of it is written into segments again.
    #[inline(never)]
    fn log_emptied(&mut self, now: Now, boot: Boot) {
        self.event(json!({"type": "storage", "storage": "indexeddb", "code": "storage-wiped"}));
        self.metrics.recoveries += 1;
        self.maintenance.directories = boot.directories;
        self.phase = Phase::Open;
        if let Some((first, _)) = boot.log.first() {
            // What others wrote in between is gone.
            self.state.last = self.state.last.max(first - 1);
        }
        seal::seal_all(&mut self.state);
        self.maintenance.is_sole = true;
        self.upkeep_works();
        self.fold_all(now, boot.log);
    }

    /// Reads the segments that an answer needs, or the next ones.
    fn next_wave(&mut self, mut boot: Boot) {
        if let Some(keys) = self.wanted_segments(&mut boot) {
            return self.start_job(StoreOp::ReadSegments { keys }, Job::LoadSegments(Box::new(boot)));
        }
        let mut keys = Vec::new();
        let mut bytes = 0;
        while let Some(key) = boot.wanted.last().copied() {
            bytes += boot.directories.get(&key).map_or(0, |directory| directory.bytes);
            if !keys.is_empty() && bytes > WAVE_BYTES {
                break;
            }
            keys.push(key);
            boot.wanted.pop();
        }
        self.start_job(StoreOp::ReadSegments { keys }, Job::LoadSegments(Box::new(boot)));
    }

    pub(crate) fn segments_loaded(&mut self, now: Now, mut boot: Boot, segments: Vec<(u64, Option<Vec<u8>>)>) {
        for (block, bytes) in std::mem::take(&mut boot.later) {
            self.take_in(&mut boot, &block, &bytes);
        }
        for (key, bytes) in segments {
            let Some(bytes) = bytes else { return self.reload() };
            match Block::unpack(&bytes) {
                Ok(block) => {
                    let is_page = boot.round.as_ref().is_some_and(Round::is_page);
                    if !is_page {
                        self.take_in(&mut boot, &block, &bytes);
                    }
                    if let Some(round) = &mut boot.round {
                        round.take(key, block.clone());
                    }
                    if is_page {
                        boot.later.push((block, bytes));
                    }
                }
                Err(error) => self.unread(&mut boot, &error),
            }
        }
        let is_done = boot.wanted.is_empty() && boot.round.is_none() && boot.later.is_empty();
        if is_done { self.opened(now, boot) } else { self.next_wave(boot) }
    }

    fn take_in(&mut self, boot: &mut Boot, block: &Block, bytes: &[u8]) {
        if let Err(error) = boot.loading.take(block, bytes, self.config.memory_bytes) {
            self.unread(boot, &error);
        }
    }

    fn unread(&mut self, boot: &mut Boot, error: &CoreError) {
        self.set_aside(error);
        // What it held of the server's is fetched again.
        boot.summary.cursor = None;
        self.maintenance.damaged = true;
        boot.damaged = true;
    }

    fn opened(&mut self, now: Now, boot: Boot) {
        self.wanted_early = Vec::new();
        self.wanted_pages = Vec::new();
        let reopened = self.maintenance.opened;
        let (state, errors) = boot.loading.finish(boot.summary);
        self.state = state;
        self.watches.forget_rows();
        for error in &errors {
            self.set_aside(error);
        }
        self.maintenance.directories = boot.directories;
        self.maintenance.summary_read();
        self.phase = Phase::Open;
        // What this tab wrote there was sealed away before it had read so far.
        let first = |writes: &Writes| writes.complete.keys().next().copied();
        while let Some(key) = first(&self.writes).filter(|key| *key <= self.state.last) {
            self.writes_folded(key);
        }
        for (key, bytes) in boot.log {
            if key != self.state.last + 1 && key > self.state.last {
                self.state.last = key - 1;
            }
            if key > self.state.last {
                self.fold_one(now, key, &bytes);
            }
        }
        // While the wall clock is behind, a copy of this store would give its edits the same readings (rule 8).
        let apart = self.random.clone().number() as u32 >> 12;
        self.state.hlc.1 = self.state.hlc.1.saturating_add(apart);
        self.maintenance.opened = true;
        self.maintenance.reloads = 0;
        self.maintenance.blind = false;
        if self.state.moved {
            if !reopened {
                self.open_failed(StoreError::FormatNewer);
            }
            return;
        }
        self.after_fold(now);
        self.durable_writes();
        if reopened {
            self.touch_everything();
        } else {
            self.output(Output::Event(Event::Opened));
            if self.config.url.is_some() {
                self.ask_to_lead();
                self.heard_of_leader(now);
                self.greet();
            }
        }
    }

    /// The first record of a new store: who it is.
    pub(crate) fn introduction(&mut self) -> Option<Record> {
        if self.state.replica.is_some() {
            return None;
        }
        self.new_id().map(|id| Record::Replica(Identity { id, owner: None }))
    }

    /// A name that nobody has.
    pub(crate) fn new_id(&mut self) -> Option<ReplicaId> {
        let text = format!("r{:016x}{:016x}", self.random.number(), self.random.number());
        ReplicaId::parse(&text).ok()
    }

    #[inline(never)]
    fn touch_everything(&mut self) {
        for (collection, id) in self.state.entity_keys() {
            self.touch(&collection, &id, true);
        }
    }

    /// The store that we knew is gone: begin a new one; what is only in memory is written again.
    #[inline(never)]
    pub(crate) fn store_replaced(&mut self, now: Now) {
        self.replace_store(now, self.state.last);
    }

    /// The log of the old store was read up to the key `read`: what stands above it is not known here.
    pub(crate) fn replace_store(&mut self, now: Now, read: u64) {
        self.event(json!({"type": "storage", "storage": "indexeddb", "code": "storage-wiped"}));
        self.stop_network(now);
        self.lane.forget_server_records();
        self.room = Room::default();
        self.rewrite_unsent(read);
        self.touch_everything();
        self.state = State::default();
        self.migrating.forget();
        self.watches.forget_rows();
        self.lead_again();
        self.ask_to_look();
        self.reload();
    }

    /// Who reads and writes nothing has not noticed that the store is another one: it may have been lost before this
    /// tab was open.
    pub(crate) fn ask_to_look(&mut self) {
        self.tell_tabs(&Message::Do(LOOK.into()));
    }

    pub(crate) fn open_failed(&mut self, error: StoreError) {
        let was_open = matches!(self.phase, Phase::Open);
        self.phase = Phase::Closed;
        let message = match error {
            StoreError::FormatNewer => "a newer release wrote this store: reload the page",
            StoreError::Quota => "the storage is full: free some space and reload the page",
            StoreError::Wiped | StoreError::Failed => "the browser's storage cannot be read: reload the page",
        };
        let failure = CoreError::new(error.code(), message);
        if was_open {
            self.event(json!({"type": "watchdog", "code": failure.code, "message": failure.message}));
        } else {
            self.output(Output::Event(Event::OpenFailed(failure)));
        }
    }
}
