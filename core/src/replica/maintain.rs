//! Upkeep of the store in idle time: sealing the log into segments and sweeping out dead rows, in bounded slices.

use crate::ids::MutationId;
use crate::io::{Durability, NewSegment, Now, Output, StoreError, StoreOp};
use crate::limits::SEAL_SLICE_BYTES;
use crate::log::record::{Record, Sealed, Sent};
use crate::replica::lane::Job;
use crate::replica::tabs::Message;
use crate::replica::{Phase, Replica};
use crate::store::asked;
use crate::store::clean::{self, Amount, Directories};
use crate::store::directory::Directory;
use crate::store::seal::{self, Summary};
use crate::store::segment::{Packed, pack};
use crate::store::texts;

/// Upkeep waits this long after the last write, so that it never stands in the way of one.
const IDLE_MS: u64 = 500;

/// What is known of the segments.
#[derive(Debug, Default)]
pub struct Maintenance {
    /// The store was opened before: what follows is a reload.
    pub(crate) opened: bool,
    pub(crate) reloads: u32,
    pub(crate) directories: Directories,
    /// There are segments that are not among these: another tab sealed or swept.
    pub(crate) blind: bool,
    /// The fence of the last seal.
    pub(crate) fence: u64,
    /// A sweep in progress: the last key looked at, and where it ends.
    sweep: Option<(u64, u64)>,
    /// What the last sweep left.
    left: Amount,
    /// A segment cannot be read. A sweep drops it, once all that it may have held is stored elsewhere.
    pub(crate) damaged: bool,
    /// Memory alone has all that the next seal writes.
    pub(crate) is_sole: bool,
    /// Seals in a row that the store did not carry out, and when to try again.
    refusals: u32,
    not_before_ms: u64,
    /// When to sweep again after another holder's sweep came in between.
    no_sweep_before_ms: u64,
    /// When the next slice of a seal is packed.
    next_slice_ms: u64,
    /// When the state last moved.
    moved: (u64, u64),
    /// The state that needs no sweep, as far as anybody looked.
    looked: u64,
    /// The fields that have columns, as the stored summary has them, once somebody looked; as the seal under way will.
    asked: (Option<u64>, u64),
    /// How many fields queries had looked at when somebody last looked at those.
    fields: usize,
    /// There was no room to write segments again: columns are not worth that.
    pub(crate) full: bool,
}

/// What a look at the store found: the fence, directories and the log.
type Found<'a> = (u64, &'a [(u64, Vec<u8>)], Vec<(u64, Vec<u8>)>);

/// What came of a look at the store.
pub(crate) enum Look {
    /// Where its segments are is known.
    Whole,
    /// This tab reads all of it anew.
    Anew,
    /// It is not the store that this tab knows.
    Other,
}

impl Maintenance {
    /// The store was read: its summary says which fields have columns.
    pub(crate) fn summary_read(&mut self) {
        (self.asked.0, self.fields) = (None, 0);
    }

    /// Seals in a row that the store did not carry out. One or two are another tab's appends in between.
    pub(crate) fn refusals(&self) -> u32 {
        self.refusals
    }
}

impl Replica {
    /// Seals and sweeps when nothing else is to do. Any appender seals a log that has grown too long (so that a
    /// cold open stays short without a leader); the rest is the lock holder's.
    #[inline(never)]
    pub(crate) fn advance_maintenance(&mut self, now: Now) {
        if self.maintenance.moved.0 != self.state.last {
            self.maintenance.moved = (self.state.last, now.mono_ms);
        }
        let mends = self.mend();
        if now.mono_ms < self.maintenance.not_before_ms {
            return self.wish(self.maintenance.not_before_ms);
        }
        let unsealed = self.state.unsealed;
        // Rows that are folded and not shown are newer than what would be packed of them now.
        let staging = self.state.staged.is_open() || self.pulling.is_busy();
        if self.state.dirty.is_packing() && now.mono_ms < self.maintenance.next_slice_ms {
            return self.wish(self.maintenance.next_slice_ms);
        }
        if unsealed.is_overdue() && !staging {
            return self.start_seal(now);
        }
        let idle_ms = self.maintenance.moved.1 + IDLE_MS;
        let is_partial = !self.config.replicate.is_empty() && self.config.url.is_some();
        if is_partial && now.mono_ms >= idle_ms {
            self.tell_uses(now);
        }
        let keeper = self.tabs.leads() || self.config.url.is_none();
        if !keeper || staging || self.look_at_log(now) {
            return;
        }
        // Whether a sweep pays is asked in idle time only: it counts what lives.
        let looked = std::mem::replace(&mut self.maintenance.looked, self.state.last) == self.state.last;
        if now.mono_ms < idle_ms {
            self.maintenance.looked = 0;
            if !self.maintenance.directories.is_empty() || unsealed.is_due() || is_partial {
                self.wish(idle_ms);
            }
        } else if is_partial && self.evict_some(now) {
            // The next round writes it.
            self.wish(now.mono_ms + 1);
        } else if unsealed.is_due() || mends {
            self.start_seal(now);
        } else if now.mono_ms < self.maintenance.no_sweep_before_ms {
            self.maintenance.looked = 0;
            self.wish(self.maintenance.no_sweep_before_ms);
        } else if self.maintenance.blind {
            self.start_job(StoreOp::Load, Job::SweepLook);
        } else if self.maintenance.sweep.is_some() || (!looked && self.is_sweep_due()) {
            self.next_slice();
        } else {
            self.add_columns(now);
        }
    }

    /// Writes segments again that have no columns yet for the fields that queries look at. Which these are is stored
    /// first: who opens the store next does not begin anew.
    #[inline(never)]
    fn add_columns(&mut self, now: Now) {
        // Where something is damaged a sweep comes first, once all is stored elsewhere; and it writes columns, too.
        if self.maintenance.damaged || self.maintenance.full {
            return;
        }
        let stored = *self.maintenance.asked.0.get_or_insert_with(|| asked::stamp(&self.state.asked));
        let fields = self.watches.fields();
        let count = fields.iter().map(|(_, paths)| paths.len()).sum();
        if std::mem::replace(&mut self.maintenance.fields, count) != count {
            for (collection, paths) in fields {
                asked::ask(&mut self.state.asked, collection, &paths);
            }
        }
        let stamp = asked::stamp(&self.state.asked);
        let keys = clean::without_columns(&self.maintenance.directories, stamp);
        if keys.is_empty() {
            return;
        }
        if stored != stamp {
            return self.start_seal(now);
        }
        self.start_job(StoreOp::ReadSegments { keys: keys.clone() }, Job::CleanRead { victims: keys });
    }

    fn is_sweep_due(&self) -> bool {
        let Maintenance { directories, left, damaged, .. } = &self.maintenance;
        let is_whole = self.state.cursor.is_some() || self.config.url.is_none();
        // It drops what is damaged, so it waits until that is stored elsewhere, whatever else there is to sweep.
        if *damaged { is_whole } else { clean::is_due(&self.state, directories, *left) }
    }

    #[inline(never)]
    fn start_seal(&mut self, now: Now) {
        if !seal::pack_some(&mut self.state, SEAL_SLICE_BYTES) {
            // The tab breathes between two slices.
            self.maintenance.next_slice_ms = now.mono_ms + 1;
            return self.wish(self.maintenance.next_slice_ms);
        }
        let upto = self.state.last;
        let record = Record::Sealed(Sealed { upto }).encode();
        self.maintenance.asked.1 = asked::stamp(&self.state.asked);
        let packed = seal::take_packed(&mut self.state);
        let directories = packed.iter().map(|packed| packed.directory).collect();
        let texts = self.state.texts.to_keep(&packed, self.config.memory_bytes);
        let op = StoreOp::Seal {
            expect: upto + 1,
            record: record.clone(),
            segments: segments(packed),
            state: Summary::of(&self.state).encode(),
            upto,
            fence: self.state.fence,
        };
        self.start_job(op, Job::Seal { upto, record, directories, texts });
    }

    /// The log's next key is not the one that we expected: somebody wrote, or the log is not what it was.
    pub(crate) fn seal_refused(&mut self, now: Now) {
        self.pause_upkeep(now);
        self.check_store();
    }

    /// Looks whether the store still has what this tab folded last.
    pub(crate) fn check_store(&mut self) {
        self.start_job(StoreOp::ReadLog { after: self.state.last.saturating_sub(1) }, Job::Check);
    }

    /// The record that was folded last stands in the log until the next seal, and a seal leaves its own record. A log
    /// with nothing from there on was emptied: a record that says nothing new shows where its numbers go on.
    pub(crate) fn check_log(&mut self, now: Now, records: Vec<(u64, Vec<u8>)>) {
        if !records.is_empty() {
            return self.fold_all(now, records);
        }
        // Not who this is: if the store is another one, that is somebody else.
        let nothing = Sent { fence: 0, through: MutationId::default() };
        self.append(vec![Record::Sent(nothing)], Durability::Strict);
    }

    /// Upkeep waits, longer each time; nothing else does.
    pub(crate) fn pause_upkeep(&mut self, now: Now) {
        let bounds = self.config.bounds();
        let pause_ms = bounds.initial_ms.saturating_mul(1 << self.maintenance.refusals.min(20)).min(bounds.max_ms);
        self.maintenance.refusals = self.maintenance.refusals.saturating_add(1);
        self.maintenance.not_before_ms = now.mono_ms + pause_ms;
    }

    pub(crate) fn upkeep_works(&mut self) {
        self.maintenance.refusals = 0;
        self.maintenance.not_before_ms = 0;
    }

    /// A seal is stored: its log key, its record, and its segments' keys.
    pub(crate) fn sealed(
        &mut self,
        now: Now,
        (upto, record, keys): (u64, Vec<u8>, Vec<u64>),
        directories: Vec<Directory>,
        texts: Vec<Vec<u8>>,
    ) {
        self.upkeep_works();
        self.maintenance.asked.0 = Some(self.maintenance.asked.1);
        self.maintenance.is_sole = false;
        texts::stored(&mut self.state, texts, self.config.memory_bytes);
        self.maintenance.directories.extend(keys.into_iter().zip(directories));
        self.maintenance.fence = self.state.fence;
        let blind = self.maintenance.blind;
        self.fold_one(now, upto + 1, &record);
        self.maintenance.blind = blind;
        self.tell_tabs(&Message::Record { key: upto + 1, bytes: record });
    }

    /// The next few segments of a sweep, the oldest first.
    #[inline(never)]
    fn next_slice(&mut self) {
        let newest = self.maintenance.directories.keys().next_back().copied().unwrap_or_default();
        let (after, through) = self.maintenance.sweep.unwrap_or((0, newest));
        let victims = clean::slice(&self.maintenance.directories, after, through);
        match victims.last() {
            Some(last) => {
                self.maintenance.sweep = Some((*last, through));
                self.start_job(StoreOp::ReadSegments { keys: victims.clone() }, Job::CleanRead { victims });
            }
            None => {
                self.maintenance.sweep = None;
                self.maintenance.damaged = false;
                self.maintenance.left = Amount::of(&self.maintenance.directories);
                // Columns may be next.
                self.wish(0);
            }
        }
    }

    pub(crate) fn clean(&mut self, now: Now, victims: Vec<u64>, found: Vec<(u64, Option<Vec<u8>>)>) {
        let mut rows = Vec::new();
        for (_, bytes) in found {
            match bytes.as_deref().map(clean::unpack) {
                Some(Ok(more)) => rows.extend(more),
                Some(Err(_)) if self.maintenance.damaged => {}
                Some(Err(error)) => {
                    self.set_aside(&error);
                    // Memory holds what it held: all of it is stored again before a sweep drops it.
                    self.maintenance.damaged = true;
                    self.maintenance.sweep = None;
                    self.maintenance.is_sole = true;
                    return seal::seal_all(&mut self.state);
                }
                // Another holder swept it.
                None => return self.sweep_refused(now),
            }
        }
        let read = rows.len();
        let living = clean::survivors(&self.state, &self.maintenance.directories, &victims, rows);
        let stored = |directory: &Directory| directory.bytes;
        let packed = pack(&living, &self.state.partial, &self.state.asked);
        let before: u64 = victims.iter().filter_map(|key| self.maintenance.directories.get(key)).map(stored).sum();
        let after: u64 = packed.iter().map(|packed| packed.directory.bytes).sum();
        let stamp = asked::stamp(&self.state.asked);
        let has_columns = |key: &u64| self.maintenance.directories.get(key).is_none_or(|d| d.stamp == stamp);
        if victims.iter().all(has_columns)
            && living.len() == read
            && after * 10 > before * 9
            && packed.len() >= victims.len()
        {
            // Nothing to gain here.
            return;
        }
        let directories = packed.iter().map(|packed| packed.directory).collect();
        let op = StoreOp::Clean { fence: self.maintenance.fence, victims: victims.clone(), segments: segments(packed) };
        self.start_job(op, Job::CleanWrite { victims, directories });
    }

    pub(crate) fn cleaned(&mut self, victims: &[u64], keys: &[u64], directories: Vec<Directory>) {
        self.maintenance.directories.retain(|key, _| !victims.contains(key));
        self.maintenance.directories.extend(keys.iter().copied().zip(directories));
    }

    pub(crate) fn sweep_failed(&mut self, now: Now, error: StoreError) {
        self.maintenance.full |= error == StoreError::Quota;
        self.sweep_refused(now);
    }

    /// What this tab knows of the segments is out of date: it looks again before the next sweep.
    pub(crate) fn sweep_refused(&mut self, now: Now) {
        self.maintenance.sweep = None;
        self.maintenance.blind = true;
        self.maintenance.no_sweep_before_ms = now.mono_ms + self.config.bounds().initial_ms;
    }

    /// What the store says of its segments and of the log: this tab folds what it has missed, so that it knows of
    /// nothing less than the segments do.
    #[inline(never)]
    pub(crate) fn look_at_store(
        &mut self,
        now: Now,
        fence: u64,
        directories: &[(u64, Vec<u8>)],
        log: Vec<(u64, Vec<u8>)>,
    ) -> Look {
        let is_known = log.iter().any(|(key, _)| *key == self.state.last);
        self.fold_all(now, log);
        if !self.lane.is_idle() || self.state.moved {
            return Look::Anew;
        }
        if !is_known {
            return Look::Other;
        }
        let read = |(key, bytes): &(u64, Vec<u8>)| Directory::decode(bytes).ok().map(|directory| (*key, directory));
        let Maintenance { directories: known, blind, fence: sealed, sweep, looked, .. } = &mut self.maintenance;
        (*known, *blind, *sealed) = (directories.iter().filter_map(read).collect(), false, fence);
        (*sweep, *looked) = (None, 0);
        Look::Whole
    }

    /// Another tab may have written columns of fields that nobody looked at here: they are kept.
    fn learn_asked(&mut self, summary: Option<&[u8]>) {
        let Some(Ok(summary)) = summary.map(Summary::decode) else { return };
        self.maintenance.asked.0 = Some(asked::stamp(&summary.asked));
        for (collection, paths) in asked::read(&summary.asked).iter() {
            asked::ask(&mut self.state.asked, collection, &paths.iter().collect::<Vec<_>>());
        }
    }

    /// Before a sweep: which segments there are.
    pub(crate) fn looked(&mut self, now: Now, summary: Option<&[u8]>, (fence, directories, log): Found<'_>) {
        self.learn_asked(summary);
        if let Look::Other = self.look_at_store(now, fence, directories, log) {
            self.check_store();
        }
    }

    /// Writes what is left, gives back the lock, and stops.
    pub fn close(&mut self, now: Now) {
        if self.phase == Phase::Open {
            self.stop_network(now);
            self.phase = Phase::Closing;
            self.output(Output::ReleaseLock);
        }
        self.advance(now);
    }

    /// Whether a closing replica has written everything.
    pub fn is_flushed(&self) -> bool {
        self.writes.is_empty() && self.lane.is_idle()
    }

    /// Deletes everything on this device.
    pub fn erase(&mut self, now: Now) {
        self.stop_network(now);
        self.phase = Phase::Closed;
        self.start_job(StoreOp::Erase, Job::Erase);
    }

    pub(crate) fn erased(&mut self) {
        self.output(Output::ReleaseLock);
        self.event(crate::json!({"type": "erased"}));
    }
}

pub(crate) fn segments(packed: Vec<Packed>) -> Vec<NewSegment> {
    packed.into_iter().map(|packed| packed.stored).collect()
}
