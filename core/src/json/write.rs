//! JSON as text: one form for equal values.

use super::numbers;
use super::value::{Map, Value};

/// The canonical text: keys sorted, no white space, numbers as JavaScript writes them.
pub fn write(value: &Value) -> Vec<u8> {
    write_text(value).into_bytes()
}

/// As [`write()`], as text.
pub fn write_text(value: &Value) -> String {
    let mut out = String::new();
    write_value(value, &mut out);
    out
}

/// The length of the canonical text, if it is over `most`: most values need not be written to see that it is not.
pub fn length_over(value: &Value, most: usize) -> Option<usize> {
    if length_max(value) <= most {
        return None;
    }
    Some(write_text(value).len()).filter(|length| *length > most)
}

/// No text of the value is longer.
fn length_max(value: &Value) -> usize {
    // A control character is written as six, and no number needs more than these.
    let text = |text: &str| 2 + 6 * text.len();
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 25,
        Value::String(content) => text(content),
        Value::Array(items) => items.iter().fold(2, |sum, item| sum + 1 + length_max(item)),
        Value::Object(map) => map.iter().fold(2, |sum, (key, item)| sum + 2 + text(key) + length_max(item)),
    }
}

fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => numbers::write(*number, out),
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

fn write_object(map: &Map, out: &mut String) {
    out.push('{');
    for (i, (key, item)) in map.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_string(key, out);
        out.push(':');
        write_value(item, out);
    }
    out.push('}');
}

pub(crate) fn write_string(text: &str, out: &mut String) {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        let byte = special.bytes().next().unwrap_or_default();
        out.push('\\');
        let letter = match byte {
            b'\n' => 'n',
            b'\r' => 'r',
            b'\t' => 't',
            0x8 => 'b',
            0xc => 'f',
            b'"' | b'\\' => char::from(byte),
            _ => {
                out.push_str("u00");
                out.push(if byte < 16 { '0' } else { '1' });
                HEX.get(usize::from(byte % 16)).copied().unwrap_or_default()
            }
        };
        out.push(letter);
        rest = special.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::json::{JsonLimits, parse};

    #[test]
    fn a_length_is_known_where_it_matters() {
        for text in [
            "null",
            "false",
            "[]",
            "{}",
            "-1.2345678901234567e-300",
            "-12345678901234567000",
            r#""\u0001\u001f\"ä😀\\""#,
            r#"{"\u0002":[1,{"b":[null,true]},-0.000001234567890123],"c":{}}"#,
        ] {
            let value = parse(text.as_bytes(), JsonLimits::MESSAGE).unwrap();
            let length = write_text(&value).len();
            assert!(length_max(&value) >= length, "{text}");
            assert_eq!(length_over(&value, length), None);
            assert_eq!(length_over(&value, length - 1), Some(length));
        }
    }
}
