//! The one door for JSON: what comes in is checked and canonical, what goes out has one form.
//!
//! Refused: duplicate keys, nesting over the limit, keys that JavaScript takes for a prototype, lone surrogates,
//! numbers that no `f64` holds, and input over its length. Made canonical: numbers. A number is what JavaScript would
//! hold (an `f64`), and each has one form here, so that equal numbers are equal [`Value`]s.
//!
//! Not here: what a document or a mutation may contain; see [`model`](crate::model).

mod fields;
mod numbers;
mod packed;
mod pick;
mod raw;
mod scan;
mod texts;
mod value;
mod write;

pub use self::fields::{Fields, list, number, text};
pub use self::packed::{Meter, Packed};
pub use self::pick::{Span, Wanted, around_list, at, members};
pub use self::raw::{Once, Raw};
pub use self::scan::TakeField;
pub use self::texts::{to_text, write_into};
pub use self::value::{Map, Value};
pub(crate) use self::write::write_string;
pub use self::write::{length_over, write, write_text};
pub use crate::json;

use self::scan::Scanner;

use crate::error::{Code, CoreError};
use crate::limits::{DEPTH_MAX, DOCUMENT_BYTES_MAX, FORBIDDEN_KEYS};

/// How much JSON is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonLimits {
    /// Length of the text.
    pub bytes: usize,
    /// Nesting of objects and arrays; a scalar has depth 0.
    pub depth: usize,
}

impl JsonLimits {
    /// For one document.
    pub const DOCUMENT: Self = Self { bytes: DOCUMENT_BYTES_MAX, depth: DEPTH_MAX };
    /// For what the store holds or a server sends: its length is bounded where it comes in, its depth is that of a
    /// document and what is around it.
    pub const MESSAGE: Self = Self { bytes: usize::MAX, depth: DEPTH_MAX + 8 };
}

/// Reads a text.
///
/// # Errors
/// `bad-json`, `too-deep`, `too-large` or `forbidden-key`.
///
/// ```
/// use tidewire_core::json::{self, JsonLimits};
/// let value = json::parse(br#"{"n": 1.0, "z": -0}"#, JsonLimits::DOCUMENT)?;
/// assert_eq!(json::write(&value), br#"{"n":1,"z":0}"#);
/// assert!(json::parse(br#"{"a":1,"a":2}"#, JsonLimits::DOCUMENT).is_err());
/// # Ok::<(), tidewire_core::error::CoreError>(())
/// ```
pub fn parse(bytes: &[u8], limits: JsonLimits) -> Result<Value, CoreError> {
    if bytes.len() > limits.bytes {
        return Err(CoreError::new(Code::TooLarge, format!("this JSON is over {} bytes", limits.bytes)));
    }
    Scanner::new(bytes, None)?.whole(limits.depth).map(|(value, _)| value)
}

/// Reads an object of which one field keeps the text that it has: that field is left out of the value, and its text
/// is not looked at, only passed over.
///
/// # Errors
/// As [`parse`].
///
/// ```
/// use tidewire_core::json;
/// let (rest, doc) = json::parse_around(br#"{"id":"a","doc":{"n":1.0}}"#, "doc")?;
/// assert_eq!(json::write(&rest), br#"{"id":"a"}"#);
/// assert_eq!(doc, Some(r#"{"n":1.0}"#));
/// # Ok::<(), tidewire_core::error::CoreError>(())
/// ```
pub fn parse_around<'a>(bytes: &'a [u8], key: &'a str) -> Result<(Value, Option<&'a str>), CoreError> {
    Scanner::new(bytes, Some(key))?.whole(JsonLimits::MESSAGE.depth)
}

/// The items of an array as the texts that they have, passed over and not looked at.
///
/// # Errors
/// `bad-json`.
pub fn items(text: &str) -> Result<Vec<&str>, CoreError> {
    Scanner::new(text.as_bytes(), None)?.items()
}

/// Shows the fields of an object, checked as [`parse`] checks them: the key, the text of its value, and the value
/// itself where it has parts.
///
/// # Errors
/// As [`parse`], and those of `then`.
pub fn fields(text: &str, depth: usize, then: &mut TakeField<'_>) -> Result<(), CoreError> {
    Scanner::new(text.as_bytes(), None)?.fields(depth, then)
}

/// A text, and what stands behind it.
///
/// # Errors
/// `bad-json`.
pub fn text_before(text: &str) -> Result<(String, &str), CoreError> {
    Scanner::new(text.as_bytes(), None)?.text_before()
}

/// Reads a value that may be left out, so that `null` is a value and not the lack of one.
///
/// # Errors
/// Those of the text.
pub fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    serde::Deserialize::deserialize(from).map(Some)
}

/// Anything that serializes, as a value.
pub fn to_value<T: serde::Serialize + ?Sized>(value: &T) -> Value {
    reparse(&to_text(value))
}

/// What can be written as JSON, behind one type: so one function serves all fields of all [`json!`](crate::json!).
#[doc(hidden)]
pub trait Written {
    /// Appends the text.
    fn write_to(&self, out: &mut String);
}

impl<T: serde::Serialize> Written for T {
    fn write_to(&self, out: &mut String) {
        write_into(self, out);
    }
}

/// A field of [`json!`](crate::json!).
#[doc(hidden)]
#[inline(never)]
pub fn put(map: &mut Map, key: &str, value: &dyn Written) {
    let mut text = String::new();
    value.write_to(&mut text);
    put_value(map, key, reparse(&text));
}

/// A field of [`json!`](crate::json!) that is a value already.
#[doc(hidden)]
#[inline(never)]
pub fn put_value(map: &mut Map, key: &str, value: Value) {
    map.insert(key.to_owned(), value);
}

#[inline(never)]
fn reparse(text: &str) -> Value {
    // What the core writes is JSON.
    parse(text.as_bytes(), JsonLimits { bytes: usize::MAX, depth: usize::MAX }).unwrap_or_default()
}

/// A bound of the length of a value's text, without writing it.
pub fn bytes_at_most(value: &Value) -> usize {
    // A character of one byte may be written as six, a number as 24.
    let text = |text: &str| text.len() * 6 + 3;
    match value {
        Value::Null | Value::Bool(_) => 6,
        Value::Number(_) => 25,
        Value::String(string) => text(string),
        Value::Array(items) => items.iter().map(bytes_at_most).sum::<usize>() + 3,
        Value::Object(map) => map.iter().map(|(key, item)| text(key) + 1 + bytes_at_most(item)).sum::<usize>() + 3,
    }
}

/// Checks a value that some other reader made: depth and keys.
///
/// # Errors
/// `too-deep` or `forbidden-key`.
pub fn check(value: &Value, depth: usize) -> Result<(), CoreError> {
    if !matches!(value, Value::Array(_) | Value::Object(_)) {
        return Ok(());
    }
    let mut waiting = vec![(value, depth)];
    while let Some((value, depth_left)) = waiting.pop() {
        match value {
            Value::Array(_) | Value::Object(_) if depth_left == 0 => return Err(too_deep()),
            Value::Array(items) => waiting.extend(items.iter().map(|item| (item, depth_left - 1))),
            Value::Object(map) => {
                for (key, item) in map.iter() {
                    check_key(key)?;
                    waiting.push((item, depth_left - 1));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The one form of a number: 0 has no sign. `null` for what JSON has no number for, as in JavaScript.
pub fn number_of(number: f64) -> Value {
    if number.is_finite() { Value::Number(number + 0.0) } else { Value::Null }
}

/// The number that the text of a JSON number means.
pub(crate) fn number_from(text: &str) -> f64 {
    numbers::parse(text) + 0.0
}

fn check_key(key: &str) -> Result<(), CoreError> {
    if FORBIDDEN_KEYS.contains(&key) {
        return Err(CoreError::new(Code::ForbiddenKey, "JavaScript takes this key for a prototype").at(key));
    }
    Ok(())
}

fn too_deep() -> CoreError {
    CoreError::new(Code::TooDeep, "this JSON is too deep: flatten it")
}
