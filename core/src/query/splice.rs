//! One step from an old list to a new one, in the form of JavaScript's `splice`: at a place, one item goes, one comes,
//! or one takes the place of another. Steps count one after the other.

use crate::json::Value;

/// A step: `[at, how many go]`, and what comes.
pub fn step(at: usize, gone: u32, item: Option<Value>) -> Value {
    let mut parts = vec![Value::from(at), Value::from(gone)];
    parts.extend(item);
    Value::Array(parts)
}
