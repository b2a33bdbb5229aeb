//! Three-way merge of one array: as a set, or item by item where every item is an object with an `id`.
//!
//! An array is one path (rule 14), so what clashes within it is settled for the whole array at once: by the strategy
//! of its path, which the caller has asked. What is in no way an array, or has more items than are compared
//! pairwise, is not merged here.

use crate::json::{Map, Value};
use crate::limits::MERGE_ITEMS_MAX;

/// Two concurrent values as one.
#[derive(Debug, PartialEq)]
pub(super) struct Combined {
    pub(super) value: Value,
    /// Both changed the same thing, so one of them lost something.
    pub(super) clash: bool,
}

/// Arrays as sets: what either added is in it, and what either removed is not. The stored items keep their order.
pub(super) fn union(was: Option<&Value>, mine: &Value, theirs: &Value) -> Option<Combined> {
    let (was, mine, theirs) = (items(was)?, items(Some(mine))?, items(Some(theirs))?);
    let mut out: Vec<Value> = Vec::new();
    for item in theirs {
        if mine.contains(item) || !was.contains(item) {
            out.push(item.clone());
        }
    }
    for item in mine {
        if !was.contains(item) && !out.contains(item) {
            out.push(item.clone());
        }
    }
    Some(Combined { value: Value::Array(out), clash: false })
}

/// Arrays of objects, item by item and field by field. New items stand at the end; an order that only one of the two
/// changed is kept.
pub(super) fn by_id(was: Option<&Value>, mine: &Value, theirs: &Value, mine_wins: bool) -> Option<Combined> {
    let (was, mine, theirs) = (objects(was)?, objects(Some(mine))?, objects(Some(theirs))?);
    let (mine_moved, theirs_moved) = (is_reordered(was, mine), is_reordered(was, theirs));
    let mut clash = mine_moved && theirs_moved && is_reordered(mine, theirs);
    let (first, second) = if mine_moved && (mine_wins || !theirs_moved) { (mine, theirs) } else { (theirs, mine) };
    let mut out = Vec::new();
    for item in first.iter().chain(second.iter().filter(|item| find(first, item).is_none())) {
        out.extend(three_way(find(was, item), find(mine, item), find(theirs, item), mine_wins, &mut clash));
    }
    Some(Combined { value: Value::Array(out), clash })
}

/// Absence is a value here, too: a field or an item that one removed and the other changed is a clash.
fn three_way(
    was: Option<&Value>,
    mine: Option<&Value>,
    theirs: Option<&Value>,
    mine_wins: bool,
    clash: &mut bool,
) -> Option<Value> {
    if mine == theirs || theirs == was {
        return mine.cloned();
    }
    if mine == was {
        return theirs.cloned();
    }
    if let (Some(Value::Object(mine)), Some(Value::Object(theirs))) = (mine, theirs) {
        let mut out = Map::new();
        for key in theirs.keys().chain(mine.keys().filter(|key| theirs.get(*key).is_none())) {
            let before = was.and_then(|was| was.get(key));
            if let Some(value) = three_way(before, mine.get(key), theirs.get(key), mine_wins, clash) {
                out.insert(key.to_owned(), value);
            }
        }
        return Some(Value::Object(out));
    }
    *clash = true;
    if mine_wins { mine.cloned() } else { theirs.cloned() }
}

/// The items; none where there was nothing.
fn items(value: Option<&Value>) -> Option<&[Value]> {
    match value {
        None => Some(&[]),
        Some(Value::Array(items)) if items.len() <= MERGE_ITEMS_MAX => Some(items),
        Some(_) => None,
    }
}

/// The items, if each is an object with an id of its own.
fn objects(value: Option<&Value>) -> Option<&[Value]> {
    let items = items(value)?;
    for (at, item) in items.iter().enumerate() {
        let known = matches!(item.get("id"), Some(Value::String(_) | Value::Number(_)));
        if !known || items.iter().take(at).any(|earlier| earlier.get("id") == item.get("id")) {
            return None;
        }
    }
    Some(items)
}

fn find<'a>(items: &'a [Value], like: &Value) -> Option<&'a Value> {
    items.iter().find(|item| item.get("id") == like.get("id"))
}

/// Whether the items that both arrays have stand in another order.
fn is_reordered(from: &[Value], to: &[Value]) -> bool {
    let mut rest = to.iter().filter(|item| find(from, item).is_some());
    from.iter()
        .filter(|item| find(to, item).is_some())
        .any(|item| rest.next().map(|to| to.get("id")) != Some(item.get("id")))
}
