//! Reads and writes of fields in a JSON document. The helper `model` widens this.

use serde_json::{Map, Value};

use crate::model::path::Path;

/// The value at a path, if every key on the way is there.
pub fn get<'a>(doc: &'a Value, path: &Path) -> Option<&'a Value> {
    let mut at = doc;
    for key in path.segments() {
        at = at.as_object()?.get(key.as_ref())?;
    }
    Some(at)
}

/// Puts a value at a path; objects on the way are made. Returns whether it fits: a scalar on the way refuses it.
pub fn set(doc: &mut Value, path: &Path, value: Value) -> bool {
    let mut at = doc;
    for key in path.segments() {
        let Some(map) = at.as_object_mut() else { return false };
        at = map.entry(key.as_ref()).or_insert_with(|| Value::Object(Map::new()));
    }
    *at = value;
    true
}

/// Removes the value at a path and returns it; objects that become empty stay.
pub fn remove(doc: &mut Value, path: &Path) -> Option<Value> {
    let mut keys: Vec<_> = path.segments().collect();
    let last = keys.pop()?;
    let mut at = doc;
    for key in keys {
        at = at.as_object_mut()?.get_mut(key.as_ref())?;
    }
    at.as_object_mut()?.remove(last.as_ref())
}
