//! Operations of the app, as it calls them.
#![allow(dead_code, reason = "each test file uses a part of it")]

use tidewire_core::json;
use tidewire_core::json::Value;

pub fn insert(id: &str, value: Value) -> Value {
    json!({"op": "insert", "c": "deals", "id": id, "value": value})
}

pub fn set(id: &str, path: &str, value: impl Into<Value>) -> Value {
    json!({"op": "patch", "c": "deals", "id": id, "set": {path: value.into()}})
}

pub fn inc(id: &str, path: &str, by: i64) -> Value {
    json!({"op": "patch", "c": "deals", "id": id, "inc": {path: by}})
}

pub fn delete(id: &str) -> Value {
    json!({"op": "delete", "c": "deals", "id": id})
}
