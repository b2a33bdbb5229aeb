//! What this device keeps of the server's data: the rows that a collection's options ask for. The leader looks at each
//! row before it is written, so that what is not kept never touches the disk; the log says what became of it, and
//! every tab folds that.
//!
//! A row outside the filter is kept all the same while it is needed: it has an edit of this device, it was fetched, or
//! this device wrote it. Such a *guest* goes some time after it was last used (`evict`).

use std::rc::Rc;

use crate::ids::{CollectionName, EntityId};
use crate::io::{Durability, Now};
use crate::json;
use crate::json::{JsonLimits, Value};
use crate::log::kept::{Partial, Replicate as Kept};
use crate::log::record::Record;
use crate::model::change::Change;
use crate::query::ast::Query;
use crate::query::grid::{Doc, Grid, Row};
use crate::query::row::Looking;
use crate::replica::Replica;
use crate::replica::config::Replicate;
use crate::store::evict::is_pinned;
use crate::store::state::Confirmed;

impl Replica {
    /// What is kept of the collections by the options of this tab.
    pub(crate) fn partial(&self) -> Partial {
        let mut partial = Partial::new();
        for (name, options) in self.config.replicate.iter() {
            partial.insert(name.clone(), options.text.clone());
        }
        partial
    }

    /// Collections that must be read again because more of them is wanted than was kept.
    pub(crate) fn to_widen(&self) -> Vec<CollectionName> {
        let mut names = Vec::new();
        if self.state.cursor.is_none() {
            return names;
        }
        for (name, old) in self.state.partial.iter().filter(|(name, _)| self.declared.contains_key(name.as_str())) {
            let new = self.config.replicate.get(name.as_str());
            let is_covered = self.state.cursor.as_ref().is_some_and(|at| at.scope.collections.contains(name));
            if is_covered && !new.is_some_and(|new| new.is_within(old)) {
                names.push(name.clone());
            }
        }
        names
    }

    /// Writes down how much is kept, once it is so: less at once, more when it was read.
    pub(crate) fn settle_partial(&mut self, now: Now) {
        let is_plain = self.config.replicate.is_empty() && self.state.partial.is_empty();
        if is_plain || self.lane.has_server_records() || self.state.fence != self.tabs.fence() {
            return;
        }
        let wanted = self.partial();
        let widen = self.to_widen();
        let mut partial = Partial::new();
        for (name, options) in wanted.iter().filter(|(name, _)| !widen.contains(name)) {
            partial.insert(name.clone(), options.clone());
        }
        for (name, options) in self.state.partial.iter().filter(|(name, _)| widen.contains(name)) {
            partial.insert(name.clone(), options.clone());
        }
        if partial != self.state.partial {
            let record = Record::Replicate(Kept { fence: self.tabs.fence(), at: now.wall_ms, collections: partial });
            self.append(vec![record], Durability::Relaxed);
        }
    }

    /// A pull is done that read these collections whole: as much is kept of them as is wanted.
    pub(crate) fn widened(&self, now: Now, reread: &[CollectionName], all: bool) -> Option<Record> {
        let wanted = self.partial();
        let mut partial = self.state.partial.clone();
        for name in self.declared.keys().filter(|name| all || reread.contains(name)) {
            match wanted.get(name.as_str()) {
                Some(options) => {
                    partial.insert(name.clone(), options.clone());
                }
                None => {
                    partial.remove(name.as_str());
                }
            }
        }
        let (fence, at) = (self.tabs.fence(), now.wall_ms);
        (partial != self.state.partial).then_some(Record::Replicate(Kept { fence, at, collections: partial }))
    }

    /// Takes out of rows on their way into the log what is not kept. `marks`: something that the state does not know
    /// yet may have brought a row that goes.
    pub(crate) fn sift(&self, rows: Vec<Change>, marks: bool) -> Vec<Change> {
        if !self.config.replicate.values().any(|options| options.filter.is_some()) {
            return rows;
        }
        let mut stays: Vec<bool> = rows.iter().map(|_| true).collect();
        for (name, options) in self.config.replicate.iter() {
            let Some(query) = options.query(name) else { continue };
            let mine = |row: &Change| row.c == *name && row.doc.is_some();
            let docs: Vec<(&EntityId, u64, u64, &[u8])> = rows
                .iter()
                .filter(|row| mine(row))
                .filter_map(|row| Some((&row.id, row.rev, row.at, row.doc.as_ref()?.get().as_bytes())))
                .collect();
            let mut matches = matching(&query, &docs).into_iter();
            for (row, stays) in rows.iter().zip(&mut stays).filter(|(row, _)| mine(row)) {
                *stays = matches.next().unwrap_or(true) || self.is_guest(&query, row);
            }
        }
        let mut kept = Vec::new();
        for (mut row, stays) in rows.into_iter().zip(stays) {
            if stays {
                kept.push(row);
                continue;
            }
            let is_known = self.state.entity(row.c.as_str(), row.id.as_str()).is_some();
            if marks || is_known || self.has_local(&row.c, &row.id) {
                row.doc = None;
                row.evicted = true;
                kept.push(row);
            }
        }
        kept
    }

    /// Whether a row that does not match is kept for now.
    fn is_guest(&self, query: &Query, row: &Change) -> bool {
        let entity = self.state.entity(row.c.as_str(), row.id.as_str());
        let confirmed = entity.and_then(|entity| entity.confirmed.as_ref());
        let was_one = |old: &Confirmed| {
            let before = (&row.id, old.rev, old.at, old.doc.get().as_bytes());
            matching(query, &[before]) == [false]
        };
        (row.by.is_some() && row.by == self.state.replica)
            || self.is_needed(&row.c, &row.id, row.rev)
            || confirmed.is_some_and(was_one)
    }

    /// Whether an entity must stay, also by what is not in the log yet.
    pub(crate) fn is_needed(&self, c: &CollectionName, id: &EntityId, seen: u64) -> bool {
        is_pinned(&self.state, c, id, seen) || self.writes.on(c, id).next().is_some() || self.writes.refused.has(c, id)
    }
}

/// Which of these documents match.
pub(crate) fn matching(query: &Query, docs: &[(&EntityId, u64, u64, &[u8])]) -> Vec<bool> {
    let mut grid = Grid::default();
    grid.want(&query.columns);
    for (id, rev, at, doc) in docs {
        grid.put(&Row { id, doc: Doc::Text(doc), rev: *rev, at: *at, status: "" });
    }
    grid.fill();
    let looking = Looking::new(query, &grid);
    docs.iter().map(|(id, ..)| looking.find(id).is_some()).collect()
}

impl Replicate {
    /// The filter as a query.
    pub(crate) fn query(&self, name: &CollectionName) -> Option<Rc<Query>> {
        let filter = self.filter.clone()?;
        Query::read(&json!({"c": name, "where": filter})).ok().map(Rc::new)
    }

    /// Whether all that these options ask for is kept where the other ones were.
    fn is_within(&self, old: &str) -> bool {
        if self.text == old || old == "\"none\"" || self.is_none {
            return true;
        }
        let old = json::parse(old.as_bytes(), JsonLimits::MESSAGE).unwrap_or_default();
        let bound = |key: &str| old.get(key).and_then(Value::as_u64).unwrap_or(u64::MAX);
        old.get("where") == self.filter.as_ref()
            && self.ttl_ms.unwrap_or(u64::MAX) <= bound("ttlMs")
            && self.max_entities.unwrap_or(u64::MAX) <= bound("maxEntities")
    }
}
