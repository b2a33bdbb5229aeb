//! Counters since this tab opened, of it alone: in all, and by collection.

use crate::ids::CollectionName;
use crate::json::{Map, Value, json};
use crate::model::change::Change;
use crate::model::verdict::{Verdict, VerdictItem};
use crate::replica::Replica;
use crate::small::SmallMap;
use crate::store::state::State;

/// Durations kept for percentiles.
const SAMPLES_MAX: usize = 200;

/// See the module's text. Bytes are those before compression.
#[derive(Debug, Default)]
pub struct Metrics {
    pub(crate) requests: u64,
    pub(crate) failures: u64,
    pub(crate) bytes_up: u64,
    pub(crate) bytes_down: u64,
    pub(crate) recoveries: u64,
    pushes: Vec<u64>,
    pulls: Vec<u64>,
    collections: SmallMap<CollectionName, Counters>,
}

/// Of one collection.
#[derive(Debug, Default)]
struct Counters {
    /// Edits that the server took, whole or merged, and that it refused.
    accepted: u64,
    rejected: u64,
    /// Changes that the server sent.
    received: u64,
    /// Of its edits and documents alone.
    bytes_up: u64,
    bytes_down: u64,
    /// Of pushes with edits of this collection.
    pushes: Vec<u64>,
}

impl Metrics {
    pub(crate) fn request_started(&mut self, bytes: usize) {
        self.requests += 1;
        self.bytes_up += bytes as u64;
    }

    /// A push was answered; its edits are still queued.
    pub(crate) fn push_done(&mut self, ms: u64, verdicts: &[VerdictItem], state: &State) {
        keep(&mut self.pushes, ms);
        let mut told = None;
        for VerdictItem { n, verdict, .. } in verdicts {
            let Some(entry) = state.queue.get(n) else { continue };
            let collection = &entry.edit.collection;
            let counters = self.collections.or_default(collection.clone());
            counters.bytes_up += entry.edit.raw.get().len() as u64;
            match verdict {
                Verdict::Held { .. } => {}
                Verdict::Rejected { .. } => counters.rejected += 1,
                _ => counters.accepted += 1,
            }
            // Edits of one collection mostly stand side by side.
            if told.replace(collection) != Some(collection) {
                keep(&mut counters.pushes, ms);
            }
        }
    }

    pub(crate) fn pull_done(&mut self, ms: u64) {
        keep(&mut self.pulls, ms);
    }

    /// The server sent these.
    pub(crate) fn received(&mut self, changes: &[Change]) {
        for change in changes {
            let counters = self.collections.or_default(change.c.clone());
            counters.received += 1;
            counters.bytes_down += change.doc.as_ref().map_or(0, |doc| doc.get().len()) as u64;
        }
    }
}

impl Replica {
    /// `db.sync.metrics`.
    #[inline(never)]
    pub fn metrics_view(&self) -> Value {
        let Metrics { requests, failures, recoveries, bytes_up, bytes_down, .. } = &self.metrics;
        let mut collections = Map::new();
        for (name, counters) in self.metrics.collections.iter() {
            collections.insert(name.as_str().into(), counters.view());
        }
        json!({
            "requests": requests, "failures": failures, "recoveries": recoveries,
            "bytesUp": bytes_up, "bytesDown": bytes_down,
            "pushMs": percentiles(&self.metrics.pushes), "pullMs": percentiles(&self.metrics.pulls),
            "collections": Value::Object(collections),
        })
    }
}

impl Counters {
    fn view(&self) -> Value {
        json!({
            "accepted": self.accepted, "rejected": self.rejected, "received": self.received,
            "bytesUp": self.bytes_up, "bytesDown": self.bytes_down, "pushMs": percentiles(&self.pushes),
        })
    }
}

fn keep(samples: &mut Vec<u64>, ms: u64) {
    if samples.len() == SAMPLES_MAX {
        samples.remove(0);
    }
    samples.push(ms);
}

fn percentiles(samples: &[u64]) -> Value {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let at = |share: usize| sorted.get((sorted.len() * share / 100).min(sorted.len().saturating_sub(1)));
    json!({"p50": at(50), "p99": at(99)})
}
