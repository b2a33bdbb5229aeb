//! What a pull or a frame shows of edits whose push has not been answered yet: it says so, and the edits leave the view
//! in the very step that brings their effect (rule 1). Else an increment would be seen twice until the answer came.
//!
//! Not here: the answer itself (`verdicts`), which alone tells of what was refused, waits or lost against others.

use crate::ids::MutationId;
use crate::io::{Durability, Now};
use crate::log::record::{Acks, Record};
use crate::model::mutation::Mutation;
use crate::model::verdict::{Verdict, VerdictItem};
use crate::planted::Bug;
use crate::protocol::message::Applied;
use crate::replica::Replica;
use crate::replica::push::Step;
use crate::store::state::Status;

impl Replica {
    /// Whether the server has yet to decide some of these, as far as the log says.
    pub(crate) fn is_any_open(&self, ns: &[MutationId]) -> bool {
        ns.iter().any(|n| self.state.queue.get(n).is_some_and(|entry| !matches!(entry.status, Status::Settled(_))))
    }

    /// What the server sent goes into the log, behind what it says of this store's own edits in it.
    pub(crate) fn append_after(&mut self, now: Now, applied: &[Applied], history: &str, records: Vec<Record>) {
        let verdicts: Vec<VerdictItem> = applied.iter().filter_map(|one| self.own(one)).collect();
        if verdicts.is_empty() || Bug::AppliedIgnored.is_planted() {
            return self.append(records, Durability::Relaxed);
        }
        let acks = Acks { fence: self.tabs.fence(), at: now.wall_ms, verdicts, history: Some(history.to_owned()) };
        // As strict as any verdict: the floor follows it (rule 6).
        self.append([Record::Acks(acks)].into_iter().chain(records).collect(), Durability::Strict);
    }

    /// The verdict, if it is new and of this very edit: a copy of this store may have another one under the number.
    fn own(&self, applied: &Applied) -> Option<VerdictItem> {
        let n = applied.n;
        let entry = self.state.queue.get(&n).filter(|_| self.state.was_sent(n))?;
        let is_open = entry.status == Status::Queued || entry.status.is_held();
        // The answer to the push is on its way into the log already, before what is going there now.
        let is_told = matches!(self.pushing.step, Step::Acking) || self.pushing.decided.contains_key(&n);
        let is_same = || Mutation::digest(entry.edit.raw.get().as_bytes()).to_string() == applied.digest;
        let verdict = Verdict::Applied { rev: applied.rev };
        (is_open && !is_told && is_same()).then_some(VerdictItem { n, duplicate: true, verdict })
    }
}
