//! What happened, counted: a campaign in which something never happens tests less than it says.

use std::collections::BTreeMap;

use tidewire_core::protocol::message::Verdict;

/// Names with how often.
#[derive(Debug, Clone, Default)]
pub struct Labels(BTreeMap<&'static str, u64>);

impl Labels {
    /// It happened.
    pub fn see(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    /// A verdict left the server.
    pub fn see_verdict(&mut self, verdict: &Verdict, duplicate: bool) {
        self.see(match verdict {
            Verdict::Applied { .. } => "applied",
            Verdict::Merged { .. } => "merged",
            Verdict::Conflict { .. } => "conflict",
            Verdict::Rejected { .. } => "rejected",
            Verdict::Held { .. } => "held",
            Verdict::Void => "void",
        });
        if duplicate {
            self.see("duplicate");
        }
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// How often something happened.
    pub fn count(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or_default()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(what, count)| (*what, *count))
    }
}
