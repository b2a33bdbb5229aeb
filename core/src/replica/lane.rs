//! The one lane to the store: one operation in flight, so that order is kept and every key can be compared (rules 2
//! and 4).
//!
//! An append reads nothing. When it is complete its first key is compared: last + 1 → its records are folded;
//! greater → the gap is read first, everything in key order; not above last and not known → the store was replaced.

use std::rc::Rc;

use crate::error::{Code, CoreError};
use crate::io::{Durability, Now, Output, StoreError, StoreOp, StoreReply, Token};
use crate::json;
use crate::limits::BROADCAST_BYTES_MAX;
use crate::log::codec;
use crate::log::record::Record;
use crate::planted::Bug;
use crate::replica::tabs::Message;
use crate::replica::{Phase, Replica};
use crate::store::commit::fold_own;
use crate::store::fold::fold;

/// The lane.
#[derive(Debug, Default)]
pub struct Lane {
    job: Option<(Token, Job)>,
    /// Records of the server's data and of the queue, each inner list in one transaction.
    server: Vec<Batch>,
    /// Another tab wrote something that was not in its message.
    pub(crate) wants_read: bool,
    /// It may not be the store any more that this tab knows.
    pub(crate) wants_check: bool,
    /// The key and the head, with its checksum, of the record that was folded last.
    last: (u64, Vec<u8>),
    /// There was no room for the server's data or for what is known of the queue: nothing can be synced.
    full: bool,
    /// Failures of the store in a row, and when to try again.
    failures: u32,
    not_before_ms: u64,
}

/// Records that are appended in one transaction.
#[derive(Debug)]
struct Batch {
    records: Vec<Record>,
    durability: Durability,
}

/// What the lane waits for.
#[derive(Debug)]
pub(crate) enum Job {
    Load,
    LoadSegments(Box<crate::replica::boot::Boot>),
    Append {
        bytes: Rc<Vec<Vec<u8>>>,
        user: bool,
        /// Whether the first record only says who this is.
        introduced: bool,
    },
    /// After an append whose key left a gap: `bytes` stand from `first_key`.
    Read,
    /// After a refused seal: the log from the last record that was folded.
    Check,
    Seal {
        upto: u64,
        record: Vec<u8>,
        directories: Vec<crate::store::directory::Directory>,
        /// The segments, if what they hold is to stay packed.
        texts: Vec<Vec<u8>>,
    },
    CleanRead {
        victims: Vec<u64>,
    },
    CleanWrite {
        victims: Vec<u64>,
        directories: Vec<crate::store::directory::Directory>,
    },
    /// Where the segments are, before a sweep.
    SweepLook,
    /// Where to look for room.
    RoomLook,
    /// Segments that may be given up.
    RoomRead,
    RoomWrite,
    Erase,
}

impl Lane {
    pub(crate) fn is_idle(&self) -> bool {
        self.job.is_none()
    }

    /// Whether records of the server or the queue still wait for the log.
    pub(crate) fn has_server_records(&self) -> bool {
        !self.server.is_empty() || matches!(self.job, Some((_, Job::Append { user: false, .. })))
    }

    /// Whether there is more in the log, or on its way into it, than was folded.
    pub(crate) fn is_behind(&self) -> bool {
        self.has_server_records() || self.wants_read || matches!(self.job, Some((_, Job::Read)))
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    pub(crate) fn forget_server_records(&mut self) {
        self.server.clear();
    }
}

impl Replica {
    /// Queues records that are appended together.
    pub(crate) fn append(&mut self, records: Vec<Record>, durability: Durability) {
        self.lane.server.push(Batch { records, durability });
    }

    pub(crate) fn start_job(&mut self, op: StoreOp, job: Job) {
        let token = self.token();
        self.lane.job = Some((token, job));
        self.output(Output::Store { token, op });
    }

    /// Starts the next operation, if none is in flight: what was missed first, then the user's writes, then the
    /// server's data, then upkeep.
    pub(crate) fn advance_lane(&mut self, now: Now) {
        if !self.lane.is_idle() {
            return;
        }
        // A write of the user's is not kept waiting: it is told at once that there is no room, or that there is.
        let hurries = self.lane.full && self.writes.is_awaited();
        if now.mono_ms < self.lane.not_before_ms && !hurries {
            self.wish(self.lane.not_before_ms);
            return;
        }
        if self.lane.wants_read {
            self.lane.wants_read = false;
            return self.read_on();
        }
        if std::mem::take(&mut self.lane.wants_check) {
            return self.check_store();
        }
        if let Some(mut records) = self.take_writes() {
            let durability = self.config.write_durability();
            if durability == Durability::Strict {
                records.extend(self.sent_along(now).map(|sent| sent.encode()));
            }
            return self.start_append(records, durability, true);
        }
        if !self.lane.server.is_empty() {
            let batch = self.lane.server.remove(0);
            let records = batch.records.iter().map(Record::encode).collect();
            return self.start_append(records, batch.durability, false);
        }
        if self.phase == Phase::Open && self.whole {
            self.advance_maintenance(now);
        }
    }

    /// The first record of a new store says who writes, in the transaction of the first that has something to say: no
    /// write waits for a name.
    fn start_append(&mut self, mut bytes: Vec<Vec<u8>>, durability: Durability, user: bool) {
        let introduction = self.introduction();
        let introduced = introduction.is_some();
        if let Some(record) = introduction {
            bytes.insert(0, record.encode());
        }
        if self.owes_room() {
            bytes.extend(self.room_records());
        }
        if self.whole {
            bytes = bytes.into_iter().map(codec::squeeze).collect();
        }
        let bytes = Rc::new(bytes);
        let op = StoreOp::Append { records: bytes.clone(), durability };
        self.start_job(op, Job::Append { bytes, user, introduced });
    }

    /// The store answered.
    pub(crate) fn stored(&mut self, now: Now, token: Token, result: Result<StoreReply, StoreError>) {
        let Some((expected, job)) = self.lane.job.take() else { return };
        if expected != token {
            self.lane.job = Some((expected, job));
            return;
        }
        if self.state.moved {
            return;
        }
        match result {
            Ok(reply) => {
                self.lane.failures = 0;
                self.job_done(now, job, reply);
            }
            Err(error) => self.job_failed(now, job, error),
        }
    }

    fn job_done(&mut self, now: Now, job: Job, reply: StoreReply) {
        match (job, reply) {
            (Job::Load, StoreReply::Loaded { state, fence, directories, log }) => {
                self.loaded(now, state, fence, directories, log);
            }
            (Job::LoadSegments(boot), StoreReply::Segments(segments)) => self.segments_loaded(now, *boot, segments),
            (Job::Append { bytes, user, introduced }, StoreReply::Appended { first_key }) => {
                let key = first_key + u64::from(introduced);
                if introduced {
                    self.ask_to_look();
                }
                self.room_was_there();
                if user {
                    self.writes_have_keys(key);
                } else if let Some(record) = bytes.get(usize::from(introduced)) {
                    self.risen(key, record);
                }
                self.appended(now, first_key, &bytes);
            }
            (Job::Read, StoreReply::Log(records)) => self.fold_all(now, records),
            (job, reply) => self.upkeep_done(now, job, reply),
        }
    }

    #[inline(never)]
    fn upkeep_done(&mut self, now: Now, job: Job, reply: StoreReply) {
        match (job, reply) {
            (Job::Seal { upto, record, directories, texts }, StoreReply::Written { keys }) => {
                self.sealed(now, (upto, record, keys), directories, texts);
            }
            (Job::Seal { .. }, StoreReply::Refused) => self.seal_refused(now),
            (Job::Check, StoreReply::Log(records)) => self.check_log(now, records),
            (Job::CleanRead { victims }, StoreReply::Segments(segments)) => self.clean(now, victims, segments),
            (Job::CleanWrite { victims, directories }, StoreReply::Written { keys }) => {
                self.cleaned(&victims, &keys, directories);
            }
            (Job::CleanWrite { .. }, StoreReply::Refused) => self.sweep_refused(now),
            (Job::SweepLook, StoreReply::Loaded { state, fence, directories, log }) => {
                self.looked(now, state.as_deref(), (fence, &directories, log));
            }
            (job @ (Job::RoomLook | Job::RoomRead | Job::RoomWrite), reply) => self.room_done(now, &job, reply),
            (Job::Erase, StoreReply::Erased) => self.erased(),
            _ => {
                let message = "the store's answer does not fit what it was asked";
                self.event(json!({"type": "watchdog", "code": "internal", "message": message}));
            }
        }
    }

    fn appended(&mut self, now: Now, first_key: u64, bytes: &[Vec<u8>]) {
        if std::mem::take(&mut self.lane.full) {
            self.lane.not_before_ms = 0;
        }
        if first_key == self.state.last + 1 || first_key > self.state.last && Bug::GapNotRead.is_planted() {
            for (key, bytes) in (first_key..).zip(bytes) {
                self.share(key, bytes);
                self.fold_one(now, key, bytes);
            }
        } else if first_key > self.state.last {
            // Another tab wrote before us: read everything between, ours included, in key order.
            for (key, bytes) in (first_key..).zip(bytes) {
                self.share(key, bytes);
            }
            return self.read_on();
        } else {
            return self.store_replaced(now);
        }
        self.durable_writes();
    }

    /// Hands a record to the other tabs, so that they need not read it.
    fn share(&mut self, key: u64, bytes: &[u8]) {
        let message = if bytes.len() <= BROADCAST_BYTES_MAX {
            Message::Record { key, bytes: bytes.to_vec() }
        } else {
            Message::Written { key }
        };
        self.tell_tabs(&message);
    }

    /// Reads on from the record that was folded last, which shows whether this is the store that it was.
    pub(crate) fn read_on(&mut self) {
        self.start_job(StoreOp::ReadLog { after: self.state.last.saturating_sub(1) }, Job::Read);
    }

    /// Folds what was read, in key order. A gap means that it was sealed away unread: then the segments are read again.
    pub(crate) fn fold_all(&mut self, now: Now, records: Vec<(u64, Vec<u8>)>) {
        for (key, bytes) in records {
            if self.state.moved {
                return;
            }
            if key <= self.state.last {
                // Numbers come a second time in a store that took the place of the one that this tab knows.
                let is_same = self.lane.last.0 != key || bytes.starts_with(&self.lane.last.1);
                if !is_same && !Bug::NewStoreNotNoticed.is_planted() {
                    return self.store_replaced(now);
                }
                continue;
            }
            if key != self.state.last + 1 {
                return self.reload();
            }
            self.fold_one(now, key, &bytes);
        }
        self.durable_writes();
    }

    /// Folds one record; a damaged one is set aside and reported.
    pub(crate) fn fold_one(&mut self, now: Now, key: u64, bytes: &[u8]) {
        self.lane.last = (key, bytes.get(..codec::HEADER_BYTES).unwrap_or_default().to_vec());
        let provisional = self.writes.are_in(key);
        let len = codec::raw_len(bytes);
        let folded = match self.writes.commit_at(key) {
            Some(commit) => Ok(fold_own(&mut self.state, key, commit, len)),
            None => Record::decode(bytes).and_then(|record| fold(&mut self.state, key, record, len)),
        };
        match folded {
            Ok(mut effects) => {
                if provisional && !self.state.has_aliases() {
                    // The view showed these edits already, of the entities that they are about.
                    effects.touched.clear();
                }
                self.writes_folded(key);
                self.maintenance.blind |= effects.sealed;
                let pulled = effects.pulled;
                self.announce(effects);
                if pulled {
                    self.verify(now);
                }
            }
            Err(error) => {
                self.state.last = key;
                // It may be a write of the user's: nobody here seals over it.
                self.state.moved |= error.code == Code::FormatNewer;
                self.set_aside(&error);
            }
        }
        self.after_fold(now);
    }

    /// Reports what cannot be read. If it was the server's data, the digests will tell.
    pub(crate) fn set_aside(&mut self, error: &CoreError) {
        self.verifying.hurry();
        self.tabs.lacks |= error.code == Code::Corrupt;
        self.metrics.recoveries += 1;
        self.event(json!({"type": "watchdog", "code": error.code, "message": error.message}));
    }

    #[inline(never)]
    fn job_failed(&mut self, now: Now, job: Job, error: StoreError) {
        if let (StoreError::Quota, Job::Append { bytes, user: true, .. }) = (error, &job)
            && self.seek_room(now, bytes)
        {
            // What is only kept for convenience goes first.
            return self.keep_writes();
        }
        let is_search = matches!(job, Job::RoomLook | Job::RoomRead | Job::RoomWrite);
        if is_search && error != StoreError::Wiped {
            return self.no_room(now);
        }
        let told = self.lane.full && !matches!(job, Job::Append { user: true, .. });
        if error == StoreError::Quota && !told {
            self.event(json!({"type": "quota"}));
        }
        match job {
            Job::Load | Job::LoadSegments(_) => return self.open_failed(error),
            Job::Append { user: true, .. } if error == StoreError::Wiped => self.keep_writes(),
            Job::Append { user: true, .. } => {
                self.fail_writes(now, error);
                // Whether it happened is unknown: the log tells.
                self.lane.wants_read = error != StoreError::Quota;
                if error == StoreError::Quota {
                    return self.room_refused(now);
                }
            }
            Job::Append { user: false, .. } => {
                // It can be had again from the server; the cursor did not move.
                self.lane.server.clear();
                self.lane.full = error == StoreError::Quota;
                self.stop_network(now);
                self.lane.wants_read = true;
                if error != StoreError::Wiped {
                    self.rise_again();
                }
            }
            Job::Read | Job::Check => self.lane.wants_read = true,
            Job::CleanRead { .. } | Job::CleanWrite { .. } | Job::SweepLook => self.sweep_failed(now, error),
            Job::RoomLook | Job::RoomRead | Job::RoomWrite => {}
            // The log is whole without it, and writes need not wait for it.
            Job::Seal { .. } if error != StoreError::Wiped => return self.pause_upkeep(now),
            Job::Seal { .. } => {}
            Job::Erase => self
                .event(json!({"type": "watchdog", "code": error.code(), "message": "the store could not be erased"})),
        }
        if error == StoreError::Wiped { self.store_lost(now) } else { self.back_off(now) }
    }

    /// The store is asked again later, each time later than before.
    pub(crate) fn back_off(&mut self, now: Now) {
        self.lane.failures += 1;
        let bounds = self.config.bounds();
        self.lane.not_before_ms = now.mono_ms + (bounds.initial_ms << self.lane.failures.min(5)).min(bounds.max_ms);
    }
}
