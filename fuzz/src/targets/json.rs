//! The JSON door, beside `serde_json` as a second opinion.

use std::borrow::Cow;

use tidewire_core::error::Code;
use tidewire_core::json::{self, JsonLimits, Raw, Value};
use tidewire_core::limits::DEPTH_MAX;

use super::{print, refusal};

/// So many fields are looked at one by one.
const FIELDS: usize = 3;
const ANY: JsonLimits = JsonLimits { bytes: usize::MAX, depth: DEPTH_MAX };

pub(super) fn run(input: &[u8]) -> u64 {
    let second = serde_json::from_slice::<serde_json::Value>(input);
    let value = match json::parse(input, JsonLimits::DOCUMENT) {
        Ok(value) => value,
        Err(error) => {
            let known = [Code::BadJson, Code::TooDeep, Code::TooLarge, Code::ForbiddenKey];
            assert!(known.contains(&error.code), "a code of the door: {error}");
            // What is JSON to others and not to us names a key twice: the message says which.
            let twice = error.code == Code::BadJson && error.path.is_some();
            assert!(second.is_err() || twice || error.code != Code::BadJson, "refused alone: {error}");
            return refusal(&error);
        }
    };
    let second = second.expect("serde_json reads it too");
    assert_eq!(json::to_value(&second), value, "as serde_json has it");
    let text = json::write(&value);
    let again = json::parse(&text, ANY).expect("what is written is read");
    assert_eq!(again, value, "written and read");
    assert_eq!(json::write(&again), text, "one form");
    assert!(json::check(&value, DEPTH_MAX).is_ok(), "who checks values agrees with who reads texts");
    assert!(json::bytes_at_most(&value) >= text.len(), "a bound is one");
    assert_eq!(json::length_over(&value, text.len()), None, "as long as it is");
    assert_eq!(json::length_over(&value, text.len() - 1), Some(text.len()), "no shorter");
    let input = str::from_utf8(input).expect("it was read");
    assert_eq!(Raw::parse(input).expect("a text").get().trim(), input.trim(), "raw text stays as it is");
    parts(input, &value);
    let kind = match &value {
        Value::Null | Value::Bool(_) => "word",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    print(&[kind, &depth(&value).to_string(), &text.len().ilog2().to_string()])
}

/// Who passes over a part reads the others as who reads all.
fn parts(input: &str, value: &Value) {
    match value {
        Value::Array(items) => {
            let texts = json::items(input).expect("a list");
            let read: Vec<Value> = texts.iter().map(|text| json::parse(text.as_bytes(), ANY).expect("read")).collect();
            assert_eq!(&read, items, "items");
        }
        Value::Object(map) => {
            let mut count = 0;
            json::members(input, &mut |_, text| {
                count += 1;
                json::parse(text.as_bytes(), ANY).is_ok()
            });
            assert_eq!(count, map.len(), "members");
            for (key, expected) in map.iter().take(FIELDS) {
                let (rest, text) = json::parse_around(input.as_bytes(), key).expect("read");
                assert_eq!(rest.as_object().map(|rest| rest.len()), Some(map.len() - 1), "the rest");
                let around = json::parse(text.expect("a field").as_bytes(), ANY);
                assert_eq!(around.as_ref(), Ok(expected), "around {key}");
                let text = json::at(input, std::iter::once(Cow::Borrowed(key.as_str()))).expect("a field");
                assert_eq!(json::parse(text.as_bytes(), ANY).as_ref(), Ok(expected), "at {key}");
            }
        }
        _ => {}
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.iter().map(|(_, value)| depth(value)).max().unwrap_or(0),
        _ => 0,
    }
}
