//! Queries answered in the plainest way: every row, every value, a sort. What the engine answers is held to this.
//!
//! Rows are JSON as the app sees them, with `id`, `$rev`, `$updatedAt` and `$sync`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, unreachable_pub, reason = "a module of test files")]

use std::cmp::Ordering;

use proptest::prelude::*;
use tidewire_core::json;
use tidewire_core::json::Value;

/// The items, how many match, and where the next page starts.
pub struct Answer {
    pub items: Vec<Value>,
    pub total: usize,
    pub next: Option<String>,
}

pub fn answer(rows: &[Value], query: &Value) -> Answer {
    let none = Value::Null;
    let filter = query.get("where").unwrap_or(&none);
    let mut found: Vec<&Value> = rows.iter().filter(|row| matches(row, filter)).collect();
    if query.get("fold").is_some() {
        return Answer { items: folded(&found, query), total: 0, next: None };
    }
    let order = query["orderBy"].as_array().cloned().unwrap_or_default();
    let keys = |row: &Value| order.iter().map(|part| at(row, part[0].as_str().unwrap())).collect::<Vec<_>>();
    let compare_rows = |a: &(Vec<Value>, String), b: &(Vec<Value>, String)| {
        let parts = a.0.iter().zip(&b.0).zip(&order);
        let mut parts = parts.map(|((x, y), part)| if part[1] == "desc" { compare(y, x) } else { compare(x, y) });
        parts.find(|order| order.is_ne()).unwrap_or_else(|| units(&a.1).cmp(&units(&b.1)))
    };
    let total = found.len();
    let mut places: Vec<(Vec<Value>, String)> =
        found.drain(..).map(|row| (keys(row), row["id"].as_str().unwrap().to_owned())).collect();
    places.sort_by(compare_rows);
    if let Some(after) = query.get("after") {
        let after: Value = serde_json::from_str(after.as_str().unwrap()).unwrap();
        let last = (after[0].as_array().unwrap().clone(), after[1].as_str().unwrap().to_owned());
        places.retain(|place| compare_rows(place, &last).is_gt());
    }
    let offset = query["offset"].as_u64().unwrap_or(0) as usize;
    let limit = query["limit"].as_u64().map_or(usize::MAX, |limit| limit as usize);
    let rest: Vec<_> = places.into_iter().skip(offset).collect();
    let window = &rest[..limit.min(rest.len())];
    let next = window.last().filter(|_| rest.len() > limit).map(|(keys, id)| json!([keys, id]).to_string());
    Answer { items: window.iter().map(|(_, id)| Value::from(id.as_str())).collect(), total, next }
}

/// Whole numbers and halves only: their sums are exact in any order.
fn folded(rows: &[&Value], query: &Value) -> Vec<Value> {
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    if query.get("groupBy").is_none() {
        groups.push((Value::Null, Vec::new()));
    }
    for row in rows {
        let key = query.get("groupBy").map_or(Value::Null, |path| at(row, path.as_str().unwrap()));
        let value =
            query["fold"].as_array().unwrap().get(1).map_or(Value::Null, |path| at(row, path.as_str().unwrap()));
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) => values.push(value),
            None => groups.push((key, vec![value])),
        }
    }
    groups.sort_by(|a, b| compare(&a.0, &b.0));
    let number = |values: &[Value]| {
        let numbers: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
        let sum: f64 = numbers.iter().sum();
        let mut known: Vec<&Value> = values.iter().filter(|value| !value.is_null()).collect();
        known.sort_by(|a, b| compare(a, b));
        match query["fold"][0].as_str().unwrap() {
            "count" => values.len().into(),
            "sum" => sum.into(),
            "avg" if numbers.is_empty() => Value::Null,
            "avg" => (sum / numbers.len() as f64).into(),
            "min" => known.first().copied().cloned().unwrap_or_default(),
            _ => known.last().copied().cloned().unwrap_or_default(),
        }
    };
    groups.iter().map(|(key, values)| json!([key, number(values)])).collect()
}

fn at(row: &Value, path: &str) -> Value {
    match path {
        "$id" => row["id"].clone(),
        "$status" => row["$sync"]["status"].clone(),
        "$rev" | "$updatedAt" => row[path].clone(),
        _ => path
            .split('/')
            .skip(1)
            .fold(row.clone(), |value, key| value.get(&key.replace("~1", "/")).cloned().unwrap_or_default()),
    }
}

fn matches(row: &Value, filter: &Value) -> bool {
    let all = |key: &str| filter.get(key).and_then(Value::as_array).cloned();
    if filter.is_null() {
        return true;
    }
    if let Some(parts) = all("and") {
        return parts.iter().all(|part| matches(row, part));
    }
    if let Some(parts) = all("or") {
        return parts.iter().any(|part| matches(row, part));
    }
    if let Some(part) = filter.get("not") {
        return !matches(row, part);
    }
    let (found, wanted) = (at(row, filter["path"].as_str().unwrap()), &filter["value"]);
    let ordered =
        |is: fn(Ordering) -> bool| !found.is_null() && rank(&found) == rank(wanted) && is(compare(&found, wanted));
    match filter["op"].as_str().unwrap() {
        "eq" => found == *wanted,
        "ne" => found != *wanted,
        "gt" => ordered(Ordering::is_gt),
        "gte" => ordered(Ordering::is_ge),
        "lt" => ordered(Ordering::is_lt),
        "lte" => ordered(Ordering::is_le),
        "in" => wanted.as_array().unwrap().contains(&found),
        "contains" => match (&found, wanted) {
            (Value::Array(items), _) => items.contains(wanted),
            (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
            _ => false,
        },
        _ => found.as_str().zip(wanted.as_str()).is_some_and(|(text, start)| text.starts_with(start)),
    }
}

fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

fn rank(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => a.partial_cmp(b).unwrap(),
        (Value::String(a), Value::String(b)) => units(a).cmp(&units(b)),
        (Value::Array(a), Value::Array(b)) => {
            let mut parts = a.iter().zip(b).map(|(a, b)| compare(a, b));
            parts.find(|order| order.is_ne()).unwrap_or(a.len().cmp(&b.len()))
        }
        (Value::Object(a), Value::Object(b)) => {
            let mut keys = a.keys().zip(b.keys()).map(|(a, b)| units(a).cmp(&units(b)));
            let mut values = a.values().zip(b.values()).map(|(a, b)| compare(a, b));
            let first = keys.find(|order| order.is_ne()).or_else(|| values.find(|order| order.is_ne()));
            first.unwrap_or(a.len().cmp(&b.len()))
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

const PATHS: [&str; 5] = ["/a", "/b", "/n/d", "/n", "/q~1\"ä"];
const FACTS: [&str; 4] = ["$id", "$rev", "$updatedAt", "$status"];
const OPS: [&str; 9] = ["eq", "ne", "gt", "gte", "lt", "lte", "in", "contains", "startsWith"];

/// A value that a document, or a filter, may hold.
pub fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        6 => (-3..4_i32).prop_map(|n| Value::from(f64::from(n) / 2.0)),
        4 => prop::sample::select(vec!["", "a", "ab", "b", "ä", "\u{1f600}", "\u{e000}", "\"\\\n", "synced", "d1"])
            .prop_map(Value::from),
        1 => prop::collection::vec((0..3_i32).prop_map(Value::from), 0..3).prop_map(Value::Array),
        1 => (0..3_i32).prop_map(|n| json!({"d": n, "e": "x"})),
    ]
}

/// The fields of a document: each may be missing.
pub fn document() -> impl Strategy<Value = Value> {
    let field = || prop::option::weighted(0.8, value());
    (field(), field(), field(), field()).prop_map(|(a, b, d, q)| {
        let mut doc = json!({});
        for (key, value) in [("a", a), ("b", b), ("q/\"ä", q)] {
            if let Some(value) = value {
                doc[key] = value;
            }
        }
        if let Some(d) = d {
            doc["n"] = if d == true { d } else { json!({"d": d}) };
        }
        doc
    })
}

fn path() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => prop::sample::select(&PATHS[..]), 1 => prop::sample::select(&FACTS[..])]
}

fn filter() -> impl Strategy<Value = Value> {
    let leaf = (path(), prop::sample::select(&OPS[..]), value(), prop::collection::vec(value(), 0..4)).prop_map(
        |(path, op, value, list)| {
            json!({"path": path, "op": op, "value": if op == "in" { Value::Array(list) } else { value }})
        },
    );
    leaf.prop_recursive(3, 8, 3, |inner| {
        let list = || prop::collection::vec(inner.clone(), 0..3);
        prop_oneof![
            list().prop_map(|parts| json!({"and": parts})),
            list().prop_map(|parts| json!({"or": parts})),
            inner.clone().prop_map(|part| json!({"not": part})),
        ]
    })
}

/// A query over `deals`.
pub fn query() -> impl Strategy<Value = Value> {
    let order = prop::collection::vec((path(), prop::sample::select(&["asc", "desc"][..])), 0..3);
    let after = (prop::collection::vec(value(), 3), prop::sample::select(&["", "d1", "d3", "ä"][..]));
    let window = (prop::option::of(0..5_usize), 0..4_usize, prop::option::weighted(0.2, after), any::<bool>());
    let fold = (prop::sample::select(&["count", "sum", "avg", "min", "max"][..]), path(), prop::option::of(path()));
    (prop::option::weighted(0.7, filter()), order, window, prop::option::weighted(0.3, fold)).prop_map(
        |(filter, order, (limit, offset, after, page), fold)| {
            let mut query = json!({"c": "deals", "offset": offset, "page": page});
            if let Some(filter) = filter {
                query["where"] = filter;
            }
            if let Some(limit) = limit {
                query["limit"] = limit.into();
            }
            if let Some((keys, id)) = after {
                query["after"] = json!([keys[..order.len()], id]).to_string().into();
            }
            query["orderBy"] = json!(order);
            if let Some((what, of, by)) = fold {
                query["fold"] = if what == "count" { json!([what]) } else { json!([what, of]) };
                if let Some(by) = by {
                    query["groupBy"] = by.into();
                }
            }
            query
        },
    )
}

/// Carries out the steps of a delta.
pub fn splice(items: &mut Vec<Value>, steps: &Value) {
    for step in steps.as_array().unwrap() {
        let (at, gone) = (step[0].as_u64().unwrap() as usize, step[1].as_u64().unwrap() as usize);
        let new = step.as_array().unwrap().get(2).cloned();
        items.splice(at..at + gone, new);
    }
}
