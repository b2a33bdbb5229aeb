//! The rows that match, in order, and one window of them.
//!
//! Built by one look at every row. A list that is kept follows changes by looking at the changed rows only: where one
//! stood is found by its old keys, where it belongs by its new ones. With a limit only a beginning of the order is
//! kept, and built again when removals have used it up.
//!
//! Invariant: `order` holds the first rows of those that match and come after `after`: all of them, unless `more`.

use std::cmp::Ordering;
use std::rc::Rc;

use crate::ids::EntityId;
use crate::json;
use crate::json::Value;
use crate::query::ast::Query;
use crate::query::grid::Grid;
use crate::query::row::{Entry, Looking, order, place, sort};
use crate::query::splice::step;
use crate::small::search;

/// Rows that are kept beyond the window, at least: so many removals need no new look at every row.
const SPARE: usize = 64;
/// So many rows are compared in one column before they are looked at one by one.
const SLOTS_AT_ONCE: usize = 512;

/// See the module's text.
#[derive(Debug, Default)]
pub struct List {
    /// By order.
    order: Vec<Rc<Entry>>,
    /// Those of `order`, and where the whole is kept those before `after`, by id; empty in a list that is not kept.
    by_id: Vec<Rc<Entry>>,
    /// Whether more rows match than `order` holds.
    more: bool,
    /// How many match, `after` apart.
    total: usize,
}

impl List {
    /// Looks at every row. `keep`: the list will follow changes.
    pub fn build(query: &Query, grid: &Grid, keep: bool) -> Self {
        let bound = bound(query, keep);
        let mut list = Self::default();
        let mut before = Vec::new();
        let looking = Looking::new(query, grid);
        // From here on a row is too far back; known once more rows than the bound were seen.
        let mut last: Option<Rc<Entry>> = None;
        let slots = looking.select();
        list.total = slots.len();
        for some in slots.chunks(SLOTS_AT_ONCE) {
            let mut some = some.to_vec();
            if let Some(last) = &last {
                looking.leave_out_clearly_behind(last, &mut some);
                list.more = true;
            }
            for slot in some {
                if !is_after(query, &looking, slot) {
                    if keep && bound.is_none() {
                        before.extend(looking.entry(slot));
                    }
                    continue;
                }
                if let Some(last) = &last
                    && looking.order(slot, &last.keys, last.id.as_str()).is_gt()
                {
                    continue;
                }
                list.order.extend(looking.entry(slot));
                if let Some(bound) = bound.filter(|bound| list.order.len() >= 2 * bound + SPARE) {
                    list.cut(query, bound);
                    last = list.order.last().cloned();
                }
            }
        }
        list.cut(query, bound.unwrap_or(usize::MAX));
        if keep {
            list.by_id = before;
            list.by_id.extend(list.order.iter().cloned());
            sort(&mut list.by_id, &|a, b| a.id.cmp(&b.id));
        }
        list
    }

    fn cut(&mut self, query: &Query, bound: usize) {
        sort(&mut self.order, &|a, b| order(query, a, &b.keys, b.id.as_str()));
        self.more |= self.order.len() > bound;
        self.order.truncate(bound);
    }

    /// The ids in the window, in order.
    pub fn ids(&self, query: &Query) -> Vec<Value> {
        let mut ids = Vec::new();
        for at in query.offset..end(query) {
            let Some(entry) = self.order.get(at) else { break };
            ids.push(item(entry));
        }
        ids
    }

    /// How many rows match. A kept list with a limit knows only if the query is a page.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Where the next page starts, if there is one.
    pub fn next(&self, query: &Query) -> Option<String> {
        let last = self.order.get(query.limit.and_then(|limit| (query.offset + limit).checked_sub(1))?)?;
        (query.limit != Some(0) && self.order.len() > end(query))
            .then(|| json::write_text(&json!([last.keys, last.id])))
    }

    /// How many rows are kept.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether no row is kept.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Follows changes of these rows: the steps from the old window to the new one.
    pub fn follow(&mut self, query: &Query, grid: &Grid, changed: &[EntityId]) -> Vec<Value> {
        let mut steps = Vec::new();
        let looking = Looking::new(query, grid);
        for id in changed {
            let slot = looking.find(id).filter(|slot| bound(query, true).is_none() || is_after(query, &looking, *slot));
            let new = slot.and_then(|slot| looking.entry(slot));
            let old = place(&self.by_id, id).ok().and_then(|at| self.by_id.get(at)).cloned();
            match (old, new) {
                (Some(old), Some(new)) if old.keys == new.keys => self.touch(query, &old, &mut steps),
                (old, new) => {
                    if let Some(old) = old {
                        self.remove(query, &old, &mut steps);
                    }
                    if let Some(new) = new {
                        self.insert(query, new, &mut steps);
                    }
                }
            }
        }
        self.keep_bounds(query, grid, &mut steps);
        steps
    }

    /// The row changed and stays where it is.
    fn touch(&self, query: &Query, entry: &Rc<Entry>, steps: &mut Vec<Value>) {
        if let Ok(at) = self.place(query, entry)
            && (query.offset..end(query)).contains(&at)
        {
            steps.push(step(at - query.offset, 1, Some(item(entry))));
        }
    }

    fn remove(&mut self, query: &Query, entry: &Rc<Entry>, steps: &mut Vec<Value>) {
        if let Ok(at) = place(&self.by_id, &entry.id) {
            self.by_id.remove(at);
            self.total -= 1;
        }
        let Ok(at) = self.place(query, entry) else { return };
        self.order.remove(at);
        let (first, end) = (at.max(query.offset), end(query));
        if first < end && first <= self.order.len() {
            steps.push(step(first - query.offset, 1, None));
            if let Some(entry) = self.order.get(end - 1) {
                steps.push(step(end - 1 - query.offset, 0, Some(item(entry))));
            }
        }
    }

    fn insert(&mut self, query: &Query, entry: Rc<Entry>, steps: &mut Vec<Value>) {
        let place_in_order = self.place(query, &entry);
        if place_in_order == Err(self.order.len()) && self.more {
            return;
        }
        if let Err(at) = place(&self.by_id, &entry.id) {
            self.by_id.insert(at, entry.clone());
            self.total += 1;
        }
        let in_order = query.after.as_ref().is_none_or(|(keys, id)| order(query, &entry, keys, id).is_gt());
        let Err(at) = place_in_order else { return };
        if !in_order {
            return;
        }
        self.order.insert(at, entry);
        let (first, end) = (at.max(query.offset), end(query));
        if first < end {
            if let Some(entry) = self.order.get(first) {
                steps.push(step(first - query.offset, 0, Some(item(entry))));
            }
            if self.order.len() > end {
                steps.push(step(end - query.offset, 1, None));
            }
        }
    }

    /// Keeps no more rows than it needs, and no fewer.
    fn keep_bounds(&mut self, query: &Query, grid: &Grid, steps: &mut Vec<Value>) {
        let Some(bound) = bound(query, true) else { return };
        while self.order.len() > 2 * bound + SPARE {
            let Some(entry) = self.order.pop() else { break };
            self.more = true;
            if let Ok(at) = place(&self.by_id, &entry.id) {
                self.by_id.remove(at);
            }
        }
        if self.more && self.order.len() <= end(query) {
            // What is kept is the beginning of what matches: the new list only goes on where it ends.
            let shown = self.ids(query).len();
            *self = Self::build(query, grid, true);
            for (at, id) in self.ids(query).into_iter().enumerate().skip(shown) {
                steps.push(step(at, 0, Some(id)));
            }
        }
    }

    fn place(&self, query: &Query, entry: &Entry) -> Result<usize, usize> {
        search(self.order.len(), &mut |at| {
            self.order.get(at).map_or(Ordering::Greater, |known| order(query, known, &entry.keys, entry.id.as_str()))
        })
    }
}

/// How many rows of the order are kept; `None`: all, because there is no limit, or because they are counted.
fn bound(query: &Query, keep: bool) -> Option<usize> {
    let spare = if keep { SPARE } else { 0 };
    query.limit.filter(|_| !(keep && query.page)).map(|_| end(query).saturating_add(1 + spare).min(usize::MAX / 4))
}

/// The end of the window.
fn end(query: &Query) -> usize {
    query.limit.map_or(usize::MAX, |limit| query.offset.saturating_add(limit))
}

fn is_after(query: &Query, looking: &Looking<'_>, slot: usize) -> bool {
    query.after.as_ref().is_none_or(|(keys, id)| looking.order(slot, keys, id).is_gt())
}

fn item(entry: &Entry) -> Value {
    Value::from(entry.id.as_str())
}
