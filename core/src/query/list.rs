//! The rows that match, in order, and one window of them: found by one look at every row.
//!
//! With a limit only a beginning of the order is kept, and rows behind its end are passed over.

use crate::json;
use crate::json::Value;
use crate::query::ast::Query;
use crate::query::grid::Grid;
use crate::query::row::{Entry, Looking, order};

/// Rows that are kept beyond the window, at least: a list is not sorted again for each row.
const SPARE: usize = 64;
/// So many rows are compared in one column before they are looked at one by one.
const SLOTS_AT_ONCE: usize = 512;

/// The answer to a query.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The ids, in order.
    pub ids: Vec<String>,
    /// How many match in all.
    pub total: usize,
    /// Where the next page starts, if there is one.
    pub next: Option<String>,
}

/// Answers a query whose columns are in the grid.
pub fn answer(query: &Query, grid: &Grid) -> Answer {
    let end = query.limit.map_or(usize::MAX, |limit| query.offset.saturating_add(limit));
    // One row more says whether there is a next page.
    let bound = end.saturating_add(1).min(usize::MAX / 4);
    let looking = Looking::new(query, grid);
    let slots = looking.select();
    let mut found: Vec<Entry> = Vec::new();
    // From here on a row is too far back; known once more rows than the bound were seen.
    let mut last: Option<Entry> = None;
    for some in slots.chunks(SLOTS_AT_ONCE) {
        let mut some = some.to_vec();
        if let Some(last) = &last {
            looking.leave_out_clearly_behind(last, &mut some);
        }
        for slot in some {
            let is_behind = |keys: &[Value], id: &str| looking.order(slot, keys, id).is_gt();
            let too_far = last.as_ref().is_some_and(|last| is_behind(&last.keys, last.id.as_str()));
            if too_far || !query.after.as_ref().is_none_or(|(keys, id)| is_behind(keys, id)) {
                continue;
            }
            found.extend(looking.entry(slot));
            if found.len() >= 2 * bound + SPARE {
                cut(query, &mut found, bound);
                last = found.last().cloned();
            }
        }
    }
    cut(query, &mut found, bound);
    let next = found.get(end.saturating_sub(1)).filter(|_| query.limit != Some(0) && found.len() > end);
    Answer {
        total: slots.len(),
        next: next.map(|last| json::write_text(&json!([last.keys, last.id]))),
        ids: found.iter().take(end).skip(query.offset).map(|entry| entry.id.to_string()).collect(),
    }
}

fn cut(query: &Query, found: &mut Vec<Entry>, bound: usize) {
    found.sort_unstable_by(|a, b| order(query, a, b));
    found.truncate(bound);
}
