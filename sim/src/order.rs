//! Who sends, and in which order it is decided.

use std::collections::BTreeMap;

use tidewire_core::ids::{MutationId, ReplicaId};
use tidewire_core::io::{Input, StoreOp, StoreReply};
use tidewire_core::json::{self, JsonLimits, Value};
use tidewire_core::log::record::Record;
use tidewire_core::protocol::message::{Push, PushAnswer, Verdict};

use crate::labels::Labels;
use crate::world::World;

/// The kinds of a `Lead` and of a `Sent` in the log (`core/src/log/record.rs`).
const LEAD: u8 = 8;
const SENT: u8 = 4;

/// The newest number of a patch that took effect, for each store and entity. Deletions and inserts may go before what
/// is held for want of the entity.
#[derive(Debug, Default)]
pub(crate) struct Decided(BTreeMap<(ReplicaId, String), MutationId>);

impl Decided {
    /// Invariant 5: what one store wrote to one entity is decided in the order in which it was written. Invariant 16:
    /// nothing forks that nobody copied. Invariant 26: each edit has its verdict. Of copies only that is asked: they
    /// share a name until one is told of the other. Returns the number of the invariant, and what is wrong.
    pub(crate) fn look(&mut self, push: &Push, answer: &PushAnswer, labels: &Labels) -> Option<(u32, String)> {
        let numbers = || push.mutations.iter().map(|item| item.n);
        if answer.forked.is_none() && !numbers().eq(answer.verdicts.iter().map(|verdict| verdict.n)) {
            return Some((
                26,
                format!("{} sends {} edits and is answered something else", push.replica, numbers().count()),
            ));
        }
        // A store that does not know any more what it did with an edit is like a copy.
        if labels.count("cloned") + labels.count("flipped") > 0 {
            return None;
        }
        if answer.forked.is_some() {
            return Some((16, format!("{} is told of a fork, and nobody copied its store", push.replica)));
        }
        let mut wrong = None;
        for (item, verdict) in push.mutations.iter().zip(&answer.verdicts) {
            let took_effect = matches!(verdict.verdict, Verdict::Applied { .. } | Verdict::Merged { .. });
            let Some(m) = item.m.as_ref().filter(|_| took_effect && !verdict.duplicate) else { continue };
            let edit = json::parse(m.get().as_bytes(), JsonLimits::MESSAGE).unwrap_or(Value::Null);
            let text = |key: &str| edit.get(key).and_then(Value::as_str).unwrap_or_default();
            let key = (push.replica.clone(), format!("{} {}", text("c"), text("id")));
            let newest = self.0.entry(key).or_default();
            if *newest > item.n {
                let what = format!("{} {} takes effect after {newest}, on {}", push.replica, item.n, text("id"));
                wrong.get_or_insert((5, what));
            }
            if text("kind") == "patch" {
                *newest = (*newest).max(item.n);
            }
        }
        wrong
    }

    /// Another history begins.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl World {
    /// A tab has read so far in its log.
    pub(crate) fn note_read(&mut self, tab: usize, input: &Input) {
        let Input::Stored { result: Ok(StoreReply::Loaded { log, .. } | StoreReply::Log(log)), .. } = input else {
            return;
        };
        let read = log.last().map_or(0, |(key, _)| *key);
        self.tabs[tab].read = self.tabs[tab].read.max(read);
    }

    /// Where the `Lead`s of a device stand, and how far its edits may have been sent.
    pub(crate) fn note_records(&mut self, tab: usize, op: &StoreOp) {
        let StoreOp::Append { records, .. } = op else { return };
        let device = &mut self.devices[self.tabs[tab].device];
        let first = device.disk.last_key() + 1;
        for (key, record) in (first..).zip(records.iter()) {
            if record.get(1) == Some(&LEAD) {
                device.leads.insert(key, tab);
            }
            if record.get(1) == Some(&SENT)
                && let Ok(Record::Sent(sent)) = Record::decode(record)
            {
                device.sent = device.sent.max(sent.through);
            }
        }
    }

    /// Invariant 21: what a tab sends names its own `Lead`, which stands in the log, and it has read of no newer one.
    pub(crate) fn check_fence(&mut self, tab: usize, push: &str) {
        let device = &self.devices[self.tabs[tab].device];
        let is_known = self.tabs[tab].deletions == device.disk.deletions && self.labels.count("cleared") == 0;
        let Some((_, behind)) = push.split_once("\"fence\":").filter(|_| is_known) else { return };
        let digits: String = behind.chars().take_while(char::is_ascii_digit).collect();
        let fence: u64 = digits.parse().unwrap_or_default();
        let read = self.tabs[tab].read;
        let newer = device.leads.range(fence.saturating_add(1)..).next().map(|(key, _)| *key);
        if device.leads.get(&fence) != Some(&tab) {
            self.fail(21, format!("tab {tab} sends under the fence {fence}, where no `Lead` of its stands"));
        } else if let Some(newer) = newer.filter(|newer| *newer <= read) {
            self.fail(21, format!("tab {tab} sends under the fence {fence}, and has read of {newer}"));
        }
    }
}
