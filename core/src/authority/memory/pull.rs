//! What a reader is sent: the pages of a pull, the changes of a frame, one entity; as
//! `server/src/store/sqlite/read.rs` reads them from its tables.

use crate::authority::memory::server::MemoryServer;
use crate::authority::memory::{EntityKey, MemoryRow};
use crate::authority::plan::Plan;
use crate::authority::{Policy, groups};
use crate::ids::{CollectionName, EntityId, Group, Owner, Seq};
use crate::json::{self, Raw, Value};
use crate::model::change::Change;
use crate::model::conflict::Conflict;
use crate::model::digest::Digest;
use crate::planted::Bug;
use crate::protocol::message::{Checkpoint, Cursor, Pull};

impl<P: Policy> MemoryServer<P> {
    /// The lines of a pull.
    pub(super) fn lines(&self, user: &Owner, pull: Pull, now_ms: u64) -> String {
        let top = self.top();
        let scope = self.scope(user, &pull.collections);
        let plan = self.plan(pull.cursor.as_ref(), scope, &top).rereading(pull.reread);
        let changes = self.scan(&plan);
        let mut header = plan.header(user, now_ms, changes.len() as u64, self.policy.settings().clone());
        header.applied = pull.floor.map_or_else(Vec::new, |floor| self.store.applied(user, &pull.replica, floor, 0));
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
        let above = |seq: Seq, group: &Group| seq > plan.lower(group, c.as_str());
        let g = groups::visible(&plan.scope.groups, &row.groups);
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
            let blind = self.without_others(&plan.scope.groups, c, &stored.doc);
            if blind.is_some() {
                change.by = None;
            }
            change.doc = Raw::parse(&json::write_text(blind.as_ref().unwrap_or(&stored.doc))).ok();
        }
        if Bug::GroupsNotNamed.is_planted() {
            change.g.truncate(1);
        }
        Some((stored.rev, change))
    }

    /// A conflict's document for a reader who may not see the entity any more; `None` where he is shown all.
    fn without_others(&self, reader: &[Group], collection: &CollectionName, doc: &Value) -> Option<Value> {
        if !collection.is_conflicts() || Bug::ConflictsShowOthers.is_planted() {
            return None;
        }
        let conflict = Conflict::read(doc).ok()?;
        let about = self.store.entities.get(&(conflict.c, conflict.e));
        if about.is_some_and(|row| groups::is_visible(reader, &row.groups)) {
            return None;
        }
        let mut doc = doc.clone();
        groups::blind(&mut doc);
        Some(doc)
    }

    /// One live entity under any of its ids, if this user may see it.
    pub fn entity(&self, user: &Owner, collection: &str, id: &str) -> Option<Change> {
        let (collection, id) = (CollectionName::parse(collection).ok()?, EntityId::parse(id).ok()?);
        let id = self.store.resolve(&collection, id);
        let key = (collection, id);
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
                if c == collection && !row.stored.deleted && groups::is_visible(&plan.scope.groups, &row.groups) {
                    let blind = self.without_others(&plan.scope.groups, c, &row.stored.doc);
                    let doc = blind.as_ref().unwrap_or(&row.stored.doc);
                    digest.add(id.as_str(), row.stored.rev, &json::write(doc));
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
