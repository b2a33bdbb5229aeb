//! What a reader is sent: the pages of a pull, the changes of a frame, one entity; as
//! `server/src/store/sqlite/read.rs` reads them from its tables.

use crate::authority::Policy;
use crate::authority::memory::server::MemoryServer;
use crate::authority::memory::{EntityKey, MemoryRow};
use crate::authority::plan::Plan;
use crate::ids::{CollectionName, EntityId, Group, Owner, Seq};
use crate::json::{self, Raw};
use crate::model::change::Change;
use crate::model::digest::Digest;
use crate::protocol::message::{Checkpoint, Cursor, Pull, PullHeader, VERSION};

impl<P: Policy> MemoryServer<P> {
    /// The lines of a pull.
    pub(super) fn lines(&self, user: &Owner, pull: Pull, now_ms: u64) -> String {
        let top = self.top();
        let scope = self.scope(user, &pull.collections);
        let plan = self.plan(pull.cursor.as_ref(), scope, &top).rereading(pull.reread);
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
            settings: self.policy.settings().clone(),
        };
        let mut text = format!("{{\"pull\":{}}}\n", json::to_text(&header));
        let (mut after, mut rows, mut last) = (plan.after.clone(), 0, 0);
        for (seq, change) in &changes {
            if rows >= self.page && last != *seq {
                let mark = Some(last).filter(|seq| *seq > top.horizon).and_then(|seq| self.mark(seq));
                let cursor = self.cursor(&plan.scope, last, mark.unwrap_or_else(|| plan.anchored_mark(&top)));
                push_line(&mut text, &checkpoint(cursor.clone(), after.replace(cursor), None));
                rows = 0;
            }
            push_line(&mut text, change);
            (rows, last) = (rows + 1, *seq);
        }
        let digests = pull.verify.then(|| self.digests(&plan));
        let cursor = self.cursor(&plan.scope, top.seq, top.mark);
        push_line(&mut text, &checkpoint(cursor, after, Some(digests.unwrap_or_default())));
        text
    }

    /// What a plan sends: each entity once, at its latest state, in the order of `seq`.
    pub(super) fn scan(&self, plan: &Plan) -> Vec<(Seq, Change)> {
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

    /// One live entity, if this user may see it.
    pub fn entity(&self, user: &Owner, collection: &str, id: &str) -> Option<Change> {
        let key = (CollectionName::parse(collection).ok()?, EntityId::parse(id).ok()?);
        let scope = self.scope(user, std::slice::from_ref(&key.0));
        let row = self.store.entities.get(&key).filter(|row| !row.stored.deleted)?;
        let (_, change) = self.change(&self.plan(None, scope, &self.top()), &key, row)?;
        change.doc.is_some().then_some(change)
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
