//! The store was replaced by a new one: what the old one had not got through, and what no server has, is written again.

use crate::ids::MutationId;
use crate::io::Now;
use crate::replica::Replica;
use crate::store::state::{Entry, Status};

impl Replica {
    pub(crate) fn rewrite_unsent(&mut self, now: Now) {
        let queue = std::mem::take(&mut self.state.queue);
        let pending = queue
            .into_iter()
            .map(|(_, entry)| entry)
            .filter(|entry| matches!(entry.status, Status::Queued | Status::Held { .. }));
        let mut units: Vec<(Option<MutationId>, Vec<Entry>)> = Vec::new();
        for entry in pending {
            match units.last_mut() {
                Some((Some(tx), members)) if entry.tx == Some(*tx) => members.push(entry),
                _ => units.push((entry.tx, vec![entry])),
            }
        }
        let later = std::mem::take(&mut self.writes.waiting);
        for (tx, members) in units {
            let mut draft = self.writes.draft();
            for entry in members {
                self.writes.show(&mut draft, entry.edit, None);
            }
            self.writes.add(draft, tx.is_some(), None);
        }
        let mut draft = self.writes.draft();
        for edit in self.local_rows(now) {
            self.writes.show(&mut draft, edit, None);
        }
        if !draft.locals.is_empty() {
            self.writes.add(draft, false, None);
        }
        self.writes.waiting.extend(later);
    }
}
