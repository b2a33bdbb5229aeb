//! What a reader is sent: the pages of a pull and the changes of a frame, as `server/src/store/sqlite/read.rs` reads
//! them from its tables.

use tidewire_core::authority::memory::{EntityKey, MemoryRow};
use tidewire_core::authority::plan::Plan;
use tidewire_core::error::Code;
use tidewire_core::ids::{Group, Owner, Seq};
use tidewire_core::json::{self, Raw};
use tidewire_core::model::change::Change;
use tidewire_core::model::digest::Digest;
use tidewire_core::protocol::message::{Checkpoint, Cursor, Pull, PullHeader, VERSION};

use crate::labels::Labels;
use crate::server::{Answer, Server, error};

impl Server {
    pub(crate) fn pull(&self, user: &Owner, body: &str, now_ms: u64, labels: &mut Labels) -> Answer {
        let Ok(pull) = serde_json::from_str::<Pull>(body) else { return error(Code::BadMessage, 400) };
        if pull.owner.as_ref().is_some_and(|known| known != user) {
            return error(Code::WrongUser, 403);
        }
        let top = self.top();
        let scope = self.scope(user, &pull.collections);
        let plan = self.plan(pull.cursor.as_ref(), scope, &top).rereading(pull.reread);
        if plan.reset {
            labels.see("reset");
        }
        let changes = self.scan(&plan);
        let header = PullHeader {
            v: VERSION,
            now: now_ms,
            user: user.clone(),
            after: plan.after.clone(),
            reset: plan.reset,
            forget_groups: plan.forget_groups.clone(),
            forget_collections: plan.forget_collections.clone(),
            reread: plan.reread.clone(),
            total: changes.len() as u64,
            settings: self.policy.settings.clone(),
        };
        let mut text = format!("{{\"pull\":{}}}\n", json::to_text(&header));
        let mut after = plan.after.clone();
        let mut rows = 0;
        for (index, (seq, change)) in changes.iter().enumerate() {
            if rows >= self.page && changes.get(index.wrapping_sub(1)).is_some_and(|(before, _)| before != seq) {
                let last = changes[index - 1].0;
                let mark = Some(last).filter(|seq| *seq > top.horizon).and_then(|seq| self.mark(seq));
                let cursor = self.cursor(&plan.scope, last, mark.unwrap_or_else(|| plan.anchored_mark(&top)));
                push_line(&mut text, &checkpoint(cursor.clone(), after.replace(cursor), None));
                labels.see("checkpoint within a pull");
                rows = 0;
            }
            push_line(&mut text, change);
            rows += 1;
        }
        let digests = pull.verify.then(|| self.digests(&plan));
        let cursor = self.cursor(&plan.scope, top.seq, top.mark);
        push_line(&mut text, &checkpoint(cursor, after, Some(digests.unwrap_or_default())));
        (200, text)
    }

    /// What a plan sends: each entity once, at its latest state, in the order of `seq`.
    pub(crate) fn scan(&self, plan: &Plan) -> Vec<(Seq, Change)> {
        let mut changes = Vec::new();
        for (key, row) in &self.store.entities {
            if plan.scope.collections.binary_search(&key.0).is_ok()
                && let Some(change) = self.change(plan, key, row)
            {
                changes.push(change);
            }
        }
        changes.sort_by_key(|(seq, _)| *seq);
        changes
    }

    fn change(&self, plan: &Plan, (c, id): &EntityKey, row: &MemoryRow) -> Option<(Seq, Change)> {
        let stored = &row.stored;
        let held = |group: &&Group| row.groups.contains(*group);
        let above = |seq: Seq, group: &Group| seq > plan.lower(group, c.as_str());
        let g: Vec<Group> = plan.scope.groups.iter().filter(held).cloned().collect();
        let mut change = Change {
            id: id.clone(),
            c: c.clone(),
            rev: stored.rev,
            at: 0,
            by: None,
            g,
            doc: None,
            delta: None,
            evicted: false,
        };
        if change.g.is_empty() {
            let marker = |group: &Group| {
                let seq = *self.store.left.get(&(group.clone(), c.clone(), id.clone()))?;
                Some((seq, group.clone()))
            };
            let (seq, group) = plan.scope.groups.iter().filter_map(marker).max()?;
            change.rev = seq;
            return (above(seq, &group) && !plan.is_fresh(seq)).then_some((seq, change));
        }
        if !change.g.iter().any(|group| above(stored.rev, group)) || (stored.deleted && plan.is_fresh(stored.rev)) {
            return None;
        }
        (change.at, change.by) = (stored.at, Some(stored.by.clone()));
        if !stored.deleted {
            change.doc = Raw::parse(&json::write_text(&stored.doc)).ok();
        }
        Some((stored.rev, change))
    }

    fn digests(&self, plan: &Plan) -> json::Map {
        let mut digests = json::Map::new();
        for collection in &plan.scope.collections {
            let mut digest = Digest::default();
            for ((c, id), row) in &self.store.entities {
                let is_seen = row.groups.iter().any(|group| plan.scope.groups.contains(group));
                if c == collection && is_seen && !row.stored.deleted {
                    digest.add(id.as_str(), row.stored.rev, &json::write(&row.stored.doc));
                }
            }
            digests.insert(collection.to_string(), digest.text().into());
        }
        digests
    }
}

fn checkpoint(cursor: Cursor, after: Option<Cursor>, last: Option<json::Map>) -> Checkpoint {
    Checkpoint { cursor, after, done: last.is_some(), digests: last.unwrap_or_default() }
}

fn push_line<T: serde::Serialize>(text: &mut String, line: &T) {
    json::write_into(line, text);
    text.push('\n');
}
