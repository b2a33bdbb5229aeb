//! The store was replaced by a new one: what the old one had not got through, and what no server has, is written again.
//!
//! Every tab that had the old one open does so. The queue and the dead letters are adopted under their old numbers, so
//! the fold takes each edit once; what a user claimed stays claimed. What was about to be tried again or given up is
//! known by its stamp, which is the same in both. Local values are put back under the time of their own, so none takes
//! the place of a later one.

use crate::io::Now;
use crate::log::record::Record;
use crate::replica::Replica;
use crate::replica::group::record_of;
use crate::small::SmallMap;
use crate::store::state::{Entry, Status};

impl Replica {
    /// The store is gone, with what stood in it behind a gap. That is folded as if the gap had been read, or it would
    /// be in no queue; and its keys are others' in the next store.
    pub(crate) fn store_lost(&mut self, now: Now) {
        let (read, given_up) = (self.state.last, self.writes.given_up());
        let stored = self.writes.complete.iter();
        for (key, bytes) in stored.map(|(key, group)| (*key, record_of(group))).collect::<Vec<_>>() {
            self.fold_one(now, key, &bytes);
        }
        self.writes.names = SmallMap::new();
        self.replace_store(now, read);
        // Another tab may have put it into the new store.
        for discard in given_up {
            self.give_up(discard);
        }
    }

    /// `read`: up to which key the log of the old store was.
    pub(crate) fn rewrite_unsent(&mut self, read: u64) {
        let waits = |entry: &Entry| matches!(entry.status, Status::Queued | Status::Held { .. } | Status::Claimed(_));
        let apart = self.new_id();
        let records = self.adoptable(&waits, apart.as_ref().map(|apart| (read, apart)));
        let later = std::mem::take(&mut self.writes.waiting);
        let given_up = self.writes.given_up();
        for (record, edits) in records {
            let mut draft = self.writes.draft();
            for edit in edits {
                self.writes.show(&mut draft, edit, None);
            }
            self.writes.add_saved(Record::Adopt(record), draft);
        }
        let mut draft = self.writes.draft();
        for edit in self.local_rows() {
            self.writes.show(&mut draft, edit, None);
        }
        if !draft.locals.is_empty() {
            self.writes.add(draft, false, None);
        }
        self.writes.waiting.extend(later);
        // It is in the new store already, before what it is about.
        for discard in given_up {
            self.give_up(discard);
        }
    }
}
