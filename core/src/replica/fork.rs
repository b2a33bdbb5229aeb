//! A copied store: the server knows one of its numbers with other content (rule 8).
//!
//! The copy takes a replica id of its own, under which every number is free. Before that it asks, under the old id,
//! about every number that may have left a device: what was decided with the same content keeps its verdict and is not
//! sent again. A question holds one number that is known to differ, so that the server carries out nothing of it.

use crate::error::Code;
use crate::ids::MutationId;
use crate::io::{Durability, Now};
use crate::json;
use crate::log::record::{Acks, Fork as Renaming, Record};
use crate::model::verdict::VerdictItem;
use crate::planted::Bug;
use crate::protocol::message::ForkedItem;
use crate::queue::batch::{Limits, item_bytes};
use crate::replica::Replica;
use crate::replica::push::{Flight, Step};
use crate::small::SmallSet;
use crate::store::state::{State, Status};

/// What is known of a fork, until everything is asked.
#[derive(Debug)]
pub(crate) struct Fork {
    /// A number by which the server knows the fork again.
    differs: MutationId,
    asked: SmallSet<MutationId>,
    /// What was decided with the same content.
    same: Vec<VerdictItem>,
}

impl Fork {
    /// The next numbers to ask about, with the one that differs; nothing when all are asked.
    pub(crate) fn question(&self, state: &State, limits: Limits) -> Vec<MutationId> {
        let mut ns = Vec::new();
        let mut bytes = 0;
        for (n, entry) in state.undecided() {
            if self.asked.contains_key(n) || !state.was_sent(*n) {
                continue;
            }
            bytes += item_bytes(entry);
            if !ns.is_empty() && (ns.len() >= limits.count || bytes > limits.bytes) {
                break;
            }
            ns.push(*n);
        }
        if !ns.is_empty() {
            ns.push(self.differs);
            ns.sort_unstable();
        }
        ns
    }
}

impl Replica {
    /// The whole push was answered `forked`: nothing of it was applied.
    pub(crate) fn forked(&mut self, now: Now, flight: &Flight, items: Vec<ForkedItem>) {
        if flight.history.as_deref().is_some_and(|of| self.state.history().is_some_and(|known| known != of)) {
            return;
        }
        // Where none differs one is unknown and below the floor; then the lowest of the unknown ones is. A void makes
        // no fork: by it the server would not know this again.
        let is_void = |n| self.state.queue.get(&n).is_none_or(|entry| entry.status == Status::Void);
        let unknown = || items.iter().find(|item| item.same.is_none() && !is_void(item.n));
        let differs = items.iter().find(|item| item.differs).or_else(unknown);
        let Some(differs) = differs.map(|item| item.n).filter(|n| flight.ns.contains(n)) else {
            return self.pushing.backoff.fail(now.mono_ms, self.config.bounds(), 0, &mut self.random);
        };
        let known = self.pushing.fork.take();
        let mut fork = known.unwrap_or(Fork { differs, asked: SmallSet::new(), same: Vec::new() });
        for n in &flight.ns {
            fork.asked.insert(*n, ());
        }
        for ForkedItem { n, same, .. } in items {
            if let (Some(verdict), true) = (same, flight.ns.contains(&n)) {
                fork.same.push(VerdictItem { n, duplicate: true, verdict });
            }
        }
        if !fork.question(&self.state, self.config.limits()).is_empty() {
            self.pushing.fork = Some(fork);
            return;
        }
        let Some(id) = self.new_id().filter(|_| !Bug::ForkUnheeded.is_planted()) else { return };
        let fence = self.tabs.fence();
        let acks = Acks { fence, at: now.wall_ms, verdicts: fork.same, history: flight.history.clone() };
        self.append(vec![Record::Acks(acks), Record::Fork(Renaming { fence, id })], Durability::Strict);
        self.pushing.step = Step::Acking;
        let message = "this profile was copied: the copy goes on under its own name, nothing was lost";
        self.event(json!({"type": "watchdog", "code": Code::Forked, "message": message}));
    }

    /// What a server said that does not know any more what it had decided: the number that differed there may be free
    /// now, and would be carried out, alone of its transaction.
    pub(crate) fn forget_fork(&mut self) {
        self.pushing.fork = None;
    }

    /// The server must tell the store of its own commits under its new name.
    pub(crate) fn renamed(&mut self) {
        self.close_live();
        self.pulling.wanted = true;
    }
}
