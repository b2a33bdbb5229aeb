//! The rows that match, in order, and one window of them.
//!
//! Built by one look at every row. A list that is kept follows changes by looking at the changed rows only: where one
//! stood is found by its old values, where it belongs by its new ones. With a limit only a beginning of the order is
//! kept, and built again when removals have used it up.
//!
//! Invariant: `order` holds the first rows of those that match and come after `after`: all of them, unless `more`.

use std::cmp::Ordering;

use crate::json;
use crate::json::Value;
use crate::query::ast::Query;
use crate::query::row::{Looking, sort};
use crate::query::splice::step;
use crate::small::search;

/// Rows that are kept beyond the window, at least: so many removals need no new look at every row.
const SPARE: usize = 64;

/// See the module's text.
#[derive(Debug, Default)]
pub struct List {
    /// By order, as they stand in the grid.
    order: Vec<usize>,
    /// Whether more rows match than `order` holds.
    more: bool,
    /// How many match, `after` apart.
    total: usize,
}

/// What a list knows of a row before it changes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Before {
    matched: bool,
    /// Where it stands in the order.
    at: Option<usize>,
}

impl List {
    /// Looks at every row. `keep`: the list will follow changes.
    pub fn build(looking: &Looking<'_>, keep: bool) -> Self {
        let bound = bound(looking.query, keep);
        let mut list = Self::default();
        // From here on a row is too far back; known once more rows than the bound were seen.
        let mut last = None;
        looking.each(&mut |mut slots| {
            list.total += slots.len();
            if let Some(last) = last {
                looking.leave_out_clearly_behind(last, &mut slots);
            }
            for slot in slots {
                if looking.is_after(slot) && last.is_none_or(|last| looking.compare(slot, last).is_lt()) {
                    list.order.push(slot);
                }
            }
            if list.order.len() / 2 >= bound.saturating_add(SPARE) {
                list.cut(looking, bound);
                last = list.order.last().copied();
            }
        });
        list.cut(looking, bound);
        list
    }

    fn cut(&mut self, looking: &Looking<'_>, bound: usize) {
        sort(&mut self.order, &|a, b| looking.compare(a, b));
        self.more |= self.order.len() > bound;
        self.order.truncate(bound);
    }

    /// The ids in the window, in order.
    pub fn ids(&self, looking: &Looking<'_>) -> Vec<Value> {
        let mut ids = Vec::new();
        for at in looking.query.offset..end(looking.query) {
            let Some(slot) = self.order.get(at) else { break };
            ids.push(Value::from(looking.id(*slot)));
        }
        ids
    }

    /// How many rows match.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Where the next page starts, if there is one.
    pub fn next(&self, looking: &Looking<'_>) -> Option<String> {
        let limit = looking.query.limit.filter(|limit| *limit > 0)?;
        let last = *self.order.get(looking.query.offset + limit - 1)?;
        (self.order.len() > end(looking.query))
            .then(|| json::write_text(&json!([looking.keys(last), looking.id(last)])))
    }

    /// How many rows are kept.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether no row is kept.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// What is known of a row that is about to change. `slot`: if it matches.
    pub fn before(&self, looking: &Looking<'_>, slot: Option<usize>) -> Before {
        let at = slot.and_then(|slot| self.place(looking, slot, usize::MAX).ok());
        Before { matched: slot.is_some(), at }
    }

    /// The row has changed. `slot`: if it matches now.
    pub fn after(&mut self, looking: &Looking<'_>, before: Before, slot: Option<usize>, steps: &mut Vec<Value>) {
        self.total = self.total + usize::from(slot.is_some()) - usize::from(before.matched);
        let slot = slot.filter(|slot| looking.is_after(*slot));
        let others = self.order.len() - usize::from(before.at.is_some());
        let new = slot.map(|slot| {
            let (Ok(at) | Err(at)) = self.place(looking, slot, before.at.unwrap_or(usize::MAX));
            (slot, at)
        });
        // Behind the last one there may be rows that are not kept.
        let new = new.filter(|(_, at)| !self.more || *at < others);
        if let (Some(old), Some((slot, at))) = (before.at, new)
            && old == at
        {
            if let Some(at) = at.checked_sub(looking.query.offset).filter(|_| at < end(looking.query)) {
                steps.push(step(at, 1, Some(looking.id(slot).into())));
            }
            return;
        }
        if let Some(at) = before.at {
            self.remove(looking, at, steps);
        }
        if let Some((slot, at)) = new {
            self.insert(looking, slot, at, steps);
        }
    }

    fn remove(&mut self, looking: &Looking<'_>, at: usize, steps: &mut Vec<Value>) {
        self.order.remove(at);
        let (offset, end) = (looking.query.offset, end(looking.query));
        let first = at.max(offset);
        if first < end && first <= self.order.len() {
            steps.push(step(first - offset, 1, None));
            if let Some(slot) = self.order.get(end - 1) {
                steps.push(step(end - 1 - offset, 0, Some(looking.id(*slot).into())));
            }
        }
    }

    fn insert(&mut self, looking: &Looking<'_>, slot: usize, at: usize, steps: &mut Vec<Value>) {
        self.order.insert(at, slot);
        let (offset, end) = (looking.query.offset, end(looking.query));
        let first = at.max(offset);
        if first < end {
            if let Some(slot) = self.order.get(first) {
                steps.push(step(first - offset, 0, Some(looking.id(*slot).into())));
            }
            if self.order.len() > end {
                steps.push(step(end - offset, 1, None));
            }
        }
    }

    /// Keeps no more rows than it needs, and no fewer.
    pub fn keep_bounds(&mut self, looking: &Looking<'_>, steps: &mut Vec<Value>) {
        let bound = bound(looking.query, true);
        if self.order.len() / 2 > bound.saturating_add(SPARE) {
            self.order.truncate(bound);
            self.more = true;
        }
        if self.more && self.order.len() <= end(looking.query) {
            // What is kept is the beginning of what matches: the new list only goes on where it ends.
            let shown = self.ids(looking).len();
            *self = Self::build(looking, true);
            for (at, id) in self.ids(looking).into_iter().enumerate().skip(shown) {
                steps.push(step(at, 0, Some(id)));
            }
        }
    }

    /// Where a row stands or belongs among the others; `out` is passed over.
    fn place(&self, looking: &Looking<'_>, slot: usize, out: usize) -> Result<usize, usize> {
        let others = self.order.len() - usize::from(out < self.order.len());
        search(others, &mut |at| {
            let known = self.order.get(at + usize::from(at >= out));
            known.map_or(Ordering::Greater, |known| looking.compare(*known, slot))
        })
    }
}

/// How many rows of the order are kept.
fn bound(query: &Query, keep: bool) -> usize {
    let spare = if keep { SPARE } else { 0 };
    query.limit.map_or(usize::MAX, |_| end(query).saturating_add(1 + spare))
}

/// The end of the window.
fn end(query: &Query) -> usize {
    query.limit.map_or(usize::MAX, |limit| query.offset.saturating_add(limit))
}
