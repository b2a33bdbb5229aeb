//! One value of one row, as a query looks at it: borrowed, and read only as far as it has to be.

use std::cmp::Ordering;

use crate::json::{self, JsonLimits, Map, Value};

/// A value of a row.
#[derive(Debug, Clone, Copy)]
pub enum Cell<'a> {
    /// Null, or nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(&'a str),
    /// A list.
    Items(&'a [Value]),
    /// An object.
    Fields(&'a Map),
}

impl<'a> From<&'a Value> for Cell<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(yes) => Self::Bool(*yes),
            Value::Number(number) => Self::Number(*number),
            Value::String(text) => Self::Text(text),
            Value::Array(items) => Self::Items(items),
            Value::Object(map) => Self::Fields(map),
        }
    }
}

impl Cell<'_> {
    /// Hands over what a JSON text means; no text at all means null.
    #[inline]
    pub fn read(text: &[u8], then: &mut dyn FnMut(Cell<'_>)) {
        match text.first() {
            None | Some(b'n') => then(Cell::Null),
            Some(b't') => then(Cell::Bool(true)),
            Some(b'f') => then(Cell::Bool(false)),
            Some(b'-' | b'0'..=b'9') => {
                then(Cell::Number(str::from_utf8(text).map(json::number_from).unwrap_or_default()));
            }
            Some(b'"') if !text.contains(&b'\\') => {
                let inner = text.get(1..text.len() - 1).and_then(|inner| str::from_utf8(inner).ok());
                then(Cell::Text(inner.unwrap_or_default()));
            }
            Some(_) => then(Cell::from(&json::parse(text, JsonLimits::MESSAGE).unwrap_or_default())),
        }
    }

    /// A value of its own.
    pub fn to_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(yes) => Value::Bool(yes),
            Self::Number(number) => json::number_of(number),
            Self::Text(text) => Value::String(text.to_owned()),
            Self::Items(items) => Value::Array(items.to_vec()),
            Self::Fields(map) => Value::Object(map.clone()),
        }
    }

    /// Null, then booleans, numbers, texts in code-unit order as in JavaScript, lists, objects.
    pub fn compare(self, other: Cell<'_>) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Cell::Bool(b)) => a.cmp(&b),
            (Self::Number(a), Cell::Number(b)) => a.total_cmp(&b),
            (Self::Text(a), Cell::Text(b)) => code_units(a, b),
            (Self::Items(a), Cell::Items(b)) => compare_all(&mut a.iter().zip(b), a.len().cmp(&b.len())),
            (Self::Fields(a), Cell::Fields(b)) => {
                let keys = a.keys().zip(b.keys()).map(|(a, b)| code_units(a, b)).find(|order| order.is_ne());
                keys.unwrap_or_else(|| compare_all(&mut a.values().zip(b.values()), a.len().cmp(&b.len())))
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }

    /// Whether both have the same type.
    pub fn is_like(self, other: Cell<'_>) -> bool {
        self.rank() == other.rank()
    }

    fn rank(self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Number(_) => 2,
            Self::Text(_) => 3,
            Self::Items(_) => 4,
            Self::Fields(_) => 5,
        }
    }
}

/// The order of two values.
pub fn compare(a: &Value, b: &Value) -> Ordering {
    Cell::from(a).compare(Cell::from(b))
}

/// The order of texts in JavaScript.
pub fn code_units(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

fn compare_all(pairs: &mut dyn Iterator<Item = (&Value, &Value)>, end: Ordering) -> Ordering {
    for (a, b) in pairs {
        let order = compare(a, b);
        if order.is_ne() {
            return order;
        }
    }
    end
}
