//! The one door for JSON: what comes in is checked and canonical, what goes out has one form.
//!
//! Refused: duplicate keys, nesting over the limit, keys that JavaScript takes for a prototype, lone surrogates,
//! numbers that no `f64` holds, and input over its length. Made canonical: numbers. A number is what JavaScript would
//! hold (an `f64`), and each has one form here, so that equal numbers are equal [`Value`]s.
//!
//! Not here: what a document or a mutation may contain; see [`model`](crate::model).

use std::fmt::{self, Write as _};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::{Code, CoreError};
use crate::ids::FORBIDDEN_KEYS;
use crate::limits::{DEPTH_MAX, DOCUMENT_BYTES_MAX};

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
    let mut refusal = None;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let door = Door { depth_left: limits.depth, refusal: &mut refusal };
    let value = door.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    match (value, refusal) {
        (Ok(value), None) => Ok(value),
        (_, Some(refusal)) => Err(refusal),
        (Err(error), None) => Err(CoreError::new(
            Code::BadJson,
            format!("not valid JSON at line {}, column {}", error.line(), error.column()),
        )),
    }
}

/// Checks a value that some other reader made: depth and keys. Its numbers may still need [`canonical`].
///
/// # Errors
/// `too-deep` or `forbidden-key`.
pub fn check(value: &Value, depth: usize) -> Result<(), CoreError> {
    let mut waiting = vec![(value, depth)];
    while let Some((value, depth_left)) = waiting.pop() {
        match value {
            Value::Array(_) | Value::Object(_) if depth_left == 0 => return Err(too_deep()),
            Value::Array(items) => waiting.extend(items.iter().map(|item| (item, depth_left - 1))),
            Value::Object(map) => {
                for (key, item) in map {
                    check_key(key)?;
                    waiting.push((item, depth_left - 1));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Gives every number in a checked value its one form.
pub fn canonical(value: &mut Value) {
    let mut waiting = vec![value];
    while let Some(value) = waiting.pop() {
        match value {
            Value::Number(number) => {
                if let Some(float) = number.as_f64() {
                    *value = number_of(float);
                }
            }
            Value::Array(items) => waiting.extend(items.iter_mut()),
            Value::Object(map) => waiting.extend(map.values_mut()),
            _ => {}
        }
    }
}

/// The one form of a number: the one that any reader gets from its canonical text. `null` for what JSON has no number
/// for, as in JavaScript.
pub fn number_of(float: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let integer = float.fract() == 0.0;
    if integer && float.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "an integer within ±2^53")]
        return Value::Number(Number::from(float as i64));
    }
    // JavaScript's digits of a large integer are not those of the nearest `u64`.
    let read = if integer { number_text(float).parse().ok() } else { None };
    read.or_else(|| Number::from_f64(float)).map_or(Value::Null, Value::Number)
}

/// The canonical text: keys sorted, no white space, numbers as JavaScript writes them.
pub fn write(value: &Value) -> Vec<u8> {
    let mut out = String::new();
    write_value(value, &mut out);
    out.into_bytes()
}

fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => write_number(number, out),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_value(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => write_object(map, out),
    }
}

fn write_object(map: &Map<String, Value>, out: &mut String) {
    // Sorted already unless some dependency switched serde_json's maps to insertion order.
    let mut entries: Vec<_> = map.iter().collect();
    if !entries.is_sorted_by_key(|(key, _)| *key) {
        entries.sort_by_key(|(key, _)| *key);
    }
    out.push('{');
    for (i, (key, item)) in entries.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_string(key, out);
        out.push(':');
        write_value(item, out);
    }
    out.push('}');
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn write_number(number: &Number, out: &mut String) {
    const EXACT: u64 = 1 << 53;
    match number.as_i64() {
        Some(integer) if integer.unsigned_abs() <= EXACT => {
            let _ = write!(out, "{integer}");
        }
        _ => out.push_str(&number_text(number.as_f64().unwrap_or_default())),
    }
}

/// `Number::toString` of ECMAScript: the shortest digits that read back the same, an exponent from 1e21 and below 1e-6.
fn number_text(float: f64) -> String {
    if float == 0.0 {
        return "0".to_owned();
    }
    if (1e-6..1e21).contains(&float.abs()) {
        return format!("{float}");
    }
    let text = format!("{float:e}");
    match text.split_once('e') {
        Some((digits, power)) if !power.starts_with('-') => format!("{digits}e+{power}"),
        _ => text,
    }
}

/// Reads one value and remembers why it refused: serde's own error type holds only text.
struct Door<'a> {
    depth_left: usize,
    refusal: &'a mut Option<CoreError>,
}

impl Door<'_> {
    fn refuse<E: de::Error>(&mut self, error: CoreError) -> E {
        let text = E::custom(&error);
        self.refusal.get_or_insert(error);
        text
    }

    fn below<E: de::Error>(&mut self) -> Result<usize, E> {
        self.depth_left.checked_sub(1).ok_or_else(|| self.refuse(too_deep()))
    }
}

impl<'de> DeserializeSeed<'de> for Door<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Door<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "a number is what JavaScript would hold")]
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(number_of(value as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "a number is what JavaScript would hold")]
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(number_of(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(number_of(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut access: A) -> Result<Value, A::Error> {
        let depth_left = self.below()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(Door { depth_left, refusal: self.refusal })? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut access: A) -> Result<Value, A::Error> {
        let depth_left = self.below()?;
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            check_key(&key).map_err(|error| self.refuse::<A::Error>(error))?;
            if map.contains_key(&key) {
                return Err(self.refuse(CoreError::new(Code::BadJson, "an object names one key twice").at(key)));
            }
            let item = access.next_value_seed(Door { depth_left, refusal: self.refusal })?;
            map.insert(key, item);
        }
        Ok(Value::Object(map))
    }
}

fn check_key(key: &str) -> Result<(), CoreError> {
    if FORBIDDEN_KEYS.contains(&key) {
        return Err(
            CoreError::new(Code::ForbiddenKey, "this key is refused: JavaScript takes it for a prototype").at(key)
        );
    }
    Ok(())
}

fn too_deep() -> CoreError {
    CoreError::new(
        Code::TooDeep,
        "this JSON is nested deeper than the limit: flatten it or store the inner part as text",
    )
}
