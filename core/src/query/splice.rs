//! One step from an old list to a new one, in the form of JavaScript's `splice`: at a place, one item goes, one comes,
//! or one takes the place of another. Steps count one after the other.

use crate::json::Value;

/// A step.
#[derive(Debug, Clone, PartialEq)]
pub struct Splice {
    /// Where.
    pub at: usize,
    /// Whether the item there goes.
    pub gone: bool,
    /// What comes there.
    pub item: Option<Value>,
}

impl Splice {
    /// `[at, how many go]`, and what comes.
    pub fn to_value(self) -> Value {
        let mut parts = vec![Value::from(self.at), Value::from(i32::from(self.gone))];
        parts.extend(self.item);
        Value::Array(parts)
    }
}
