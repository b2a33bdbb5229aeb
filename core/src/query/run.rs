//! A query against rows: filter, order, page. Straight evaluation: it looks at every row of the collection.

use std::cmp::Ordering;

use crate::error::{Code, CoreError};
use crate::json;
use crate::json::{JsonLimits, Value};
use crate::model::document;
use crate::query::ast::{Direction, Field, Filter, Op, Query};

/// What a query sees of one entity.
#[derive(Debug)]
pub struct Row<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its document.
    pub doc: Value,
    /// Its confirmed revision.
    pub rev: u64,
    /// When it last changed.
    pub at: u64,
    /// Its sync status.
    pub status: &'static str,
}

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

/// Answers a query over rows.
///
/// # Errors
/// `bad-query` for an `after` that is not one of ours.
pub fn run<'a>(query: &Query, rows: impl Iterator<Item = Row<'a>>) -> Result<Answer, CoreError> {
    let mut found: Vec<(Vec<Value>, &str)> = rows
        .filter(|row| query.filter.as_ref().is_none_or(|filter| matches(filter, row)))
        .map(|row| (query.order.iter().map(|(field, _)| value(field, &row).unwrap_or_default()).collect(), row.id))
        .collect();
    let total = found.len();
    found.sort_unstable_by(|a, b| compare_keys(query, a, b));
    if let Some(after) = &query.after {
        let last = read_page(after)
            .ok_or_else(|| CoreError::new(Code::BadQuery, "`after` is the `next` of an earlier page, unchanged"))?;
        let last = (last.0, last.1.as_str());
        let start = found.partition_point(|row| compare_keys(query, row, &last) != Ordering::Greater);
        found.drain(..start);
    }
    let rest = found.split_off(query.offset.min(found.len()));
    let limit = query.limit.unwrap_or(rest.len());
    let next = match (limit.checked_sub(1).and_then(|last| rest.get(last)), rest.len() > limit) {
        (Some((keys, id)), true) => String::from_utf8(json::write(&json!([keys, id]))).ok(),
        _ => None,
    };
    Ok(Answer { ids: rest.into_iter().take(limit).map(|(_, id)| id.to_owned()).collect(), total, next })
}

/// The sort keys and the id of the last row of a page.
fn read_page(after: &str) -> Option<(Vec<Value>, String)> {
    match json::parse(after.as_bytes(), JsonLimits::MESSAGE).ok()? {
        Value::Array(mut parts) => match (parts.pop(), parts.pop(), parts.pop()) {
            (Some(Value::String(id)), Some(Value::Array(keys)), None) => Some((keys, id)),
            _ => None,
        },
        _ => None,
    }
}

fn compare_keys(query: &Query, a: &(Vec<Value>, &str), b: &(Vec<Value>, &str)) -> Ordering {
    for ((x, y), (_, direction)) in a.0.iter().zip(&b.0).zip(&query.order) {
        let order = compare(x, y);
        let order = if *direction == Direction::Desc { order.reverse() } else { order };
        if order != Ordering::Equal {
            return order;
        }
    }
    code_units(a.1, b.1)
}

fn value(field: &Field, row: &Row<'_>) -> Option<Value> {
    match field {
        Field::Path(path) => document::get(&row.doc, path).cloned(),
        Field::Id => Some(Value::String(row.id.to_owned())),
        Field::Rev => Some(Value::from(row.rev)),
        Field::UpdatedAt => Some(Value::from(row.at)),
        Field::Status => Some(Value::String(row.status.to_owned())),
    }
}

fn matches(filter: &Filter, row: &Row<'_>) -> bool {
    match filter {
        Filter::And { and } => and.iter().all(|part| matches(part, row)),
        Filter::Or { or } => or.iter().any(|part| matches(part, row)),
        Filter::Not { not } => !matches(not, row),
        Filter::Field { path: Field::Path(path), op, value } => {
            holds(document::get(&row.doc, path).unwrap_or(&Value::Null), *op, value)
        }
        Filter::Field { path, op, value: wanted } => holds(&value(path, row).unwrap_or_default(), *op, wanted),
    }
}

fn holds(found: &Value, op: Op, wanted: &Value) -> bool {
    let same_type = || rank(found) == rank(wanted) && !found.is_null();
    match op {
        Op::Eq => equal(found, wanted),
        Op::Ne => !equal(found, wanted),
        Op::Gt => same_type() && compare(found, wanted).is_gt(),
        Op::Gte => same_type() && compare(found, wanted).is_ge(),
        Op::Lt => same_type() && compare(found, wanted).is_lt(),
        Op::Lte => same_type() && compare(found, wanted).is_le(),
        Op::In => wanted.as_array().is_some_and(|list| list.iter().any(|item| equal(found, item))),
        Op::Contains => match (found, wanted) {
            (Value::Array(items), _) => items.iter().any(|item| equal(item, wanted)),
            (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
            _ => false,
        },
        Op::StartsWith => match (found, wanted) {
            (Value::String(text), Value::String(start)) => text.starts_with(start.as_str()),
            _ => false,
        },
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    compare(a, b) == Ordering::Equal
}

/// Null, then booleans, numbers, strings in code-unit order as in JavaScript, arrays, objects.
pub fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => a.total_cmp(b),
        (Value::String(a), Value::String(b)) => code_units(a, b),
        (Value::Array(a), Value::Array(b)) => compare_all(a.iter().zip(b), a.len().cmp(&b.len())),
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().zip(b.keys()).map(|(a, b)| code_units(a, b)).find(|order| order.is_ne());
            keys.unwrap_or_else(|| compare_all(a.values().zip(b.values()), a.len().cmp(&b.len())))
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

fn compare_all<'a>(mut pairs: impl Iterator<Item = (&'a Value, &'a Value)>, end: Ordering) -> Ordering {
    pairs.find_map(|(a, b)| Some(compare(a, b)).filter(|order| order.is_ne())).unwrap_or(end)
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

fn code_units(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}
