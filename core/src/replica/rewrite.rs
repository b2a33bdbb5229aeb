//! The store was replaced by a new one: what the old one had not got through, and what no server has, is written again.
//!
//! Every tab that had the old one open does so. The queue is adopted under its old numbers, so the fold takes each edit
//! once; local values are put back under the time of their own, so none takes the place of a later one.

use crate::log::record::Record;
use crate::replica::Replica;
use crate::store::state::Status;

impl Replica {
    pub(crate) fn rewrite_unsent(&mut self) {
        let records = self.adoptable(&|entry| matches!(entry.status, Status::Queued | Status::Held { .. }));
        let later = std::mem::take(&mut self.writes.waiting);
        for (record, edits) in records {
            let mut draft = self.writes.draft();
            for edit in edits {
                self.writes.show(&mut draft, edit, None);
            }
            self.writes.add_record(Record::Adopt(record), draft);
        }
        let mut draft = self.writes.draft();
        for edit in self.local_rows() {
            self.writes.show(&mut draft, edit, None);
        }
        if !draft.locals.is_empty() {
            self.writes.add(draft, false, None);
        }
        self.writes.waiting.extend(later);
    }
}
