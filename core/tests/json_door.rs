//! Hostile and odd JSON at the one door.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use proptest::prelude::*;
use tidewire_core::error::Code;
use tidewire_core::json;
use tidewire_core::json::{JsonLimits, Raw, Value};
use tidewire_core::model::mutation::Mutation;

fn code(text: &[u8]) -> Code {
    json::parse(text, JsonLimits::DOCUMENT).unwrap_err().code
}

#[test]
fn hostile_json_is_refused_with_a_code() {
    let table: &[(&[u8], Code)] = &[
        (br#"{"a":1,"a":2}"#, Code::BadJson),
        (br#"{"a":{"b":1,"\u0062":2}}"#, Code::BadJson),
        (br#"{"__proto__":{"admin":true}}"#, Code::ForbiddenKey),
        (br#"{"a":[{"\u005f_proto__":1}]}"#, Code::ForbiddenKey),
        (br#"{"constructor":1}"#, Code::ForbiddenKey),
        (br#"{"a":{"prototype":1}}"#, Code::ForbiddenKey),
        (br#"{"a":"\ud800"}"#, Code::BadJson),
        (br#"{"a":"\udc00x"}"#, Code::BadJson),
        (b"{\"a\":\"\xff\"}", Code::BadJson),
        (b"{\"a\":\"\xed\xa0\x80\"}", Code::BadJson),
        (b"NaN", Code::BadJson),
        (b"[Infinity]", Code::BadJson),
        (b"1e999", Code::BadJson),
        (b"-1e999", Code::BadJson),
        (b"[1,]", Code::BadJson),
        (b"{} {}", Code::BadJson),
        (b"01", Code::BadJson),
        (b"'a'", Code::BadJson),
        (b"", Code::BadJson),
        (b"\xef\xbb\xbf{}", Code::BadJson),
    ];
    for (text, expected) in table {
        assert_eq!(code(text), *expected, "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn depth_is_refused_one_past_the_limit_and_at_a_million() {
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert!(json::parse(nested(64).as_bytes(), JsonLimits::DOCUMENT).is_ok());
    assert_eq!(code(nested(65).as_bytes()), Code::TooDeep);
    assert_eq!(code("[".repeat(1_000_000).as_bytes()), Code::TooDeep);
    let objects = r#"{"a":"#.repeat(100_000);
    assert_eq!(code(objects.as_bytes()), Code::TooDeep);
    let limits = JsonLimits { bytes: usize::MAX, depth: 64 };
    let long = r#"{"a":"#.repeat(1_000_000);
    assert_eq!(json::parse(long.as_bytes(), limits).unwrap_err().code, Code::TooDeep);
}

#[test]
fn length_is_refused_one_past_the_limit() {
    let limits = JsonLimits { bytes: 5, depth: 1 };
    assert!(json::parse(b"[1,2]", limits).is_ok());
    assert_eq!(json::parse(b"[1, 2]", limits).unwrap_err().code, Code::TooLarge);
}

#[test]
fn a_parsed_value_is_checked_the_same() {
    assert!(json::check(&json!([[1]]), 2).is_ok());
    assert_eq!(json::check(&json!([[1]]), 1).unwrap_err().code, Code::TooDeep);
    assert_eq!(json::check(&json!({"a": {"__proto__": 1}}), 9).unwrap_err().code, Code::ForbiddenKey);
}

/// The right-hand side is what `JSON.stringify(JSON.parse(text))` gives in a browser.
#[test]
fn numbers_are_those_of_javascript() {
    let table = [
        ("-0", "0"),
        ("-0.0", "0"),
        ("1.0", "1"),
        ("1e2", "100"),
        ("100e-2", "1"),
        ("0.1", "0.1"),
        ("1e-6", "0.000001"),
        ("1e-7", "1e-7"),
        ("1.5E-10", "1.5e-10"),
        ("9007199254740992", "9007199254740992"),
        ("9007199254740993", "9007199254740992"),
        ("-9007199254740993", "-9007199254740992"),
        ("9007199254740995", "9007199254740996"),
        ("18446744073709551615", "18446744073709552000"),
        ("123456789012345678901234567890", "1.2345678901234568e+29"),
        ("1e20", "100000000000000000000"),
        ("1e21", "1e+21"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("5e-324", "5e-324"),
        ("-1.25", "-1.25"),
    ];
    for (text, expected) in table {
        let value = json::parse(text.as_bytes(), JsonLimits::DOCUMENT).unwrap();
        assert_eq!(String::from_utf8(json::write(&value)).unwrap(), expected, "{text}");
        let again = json::parse(expected.as_bytes(), JsonLimits::DOCUMENT).unwrap();
        assert_eq!(again, value, "{text}");
    }
}

#[test]
fn keys_are_sorted_and_strings_escaped_least() {
    let text = "{\"b\":1,\"\u{e9}\":\"\\u0001\\u001f\\n\\\"\\/\\\\\u{1F600}\",\"a\":{\"d\":[],\"c\":{}}}";
    let value = json::parse(text.as_bytes(), JsonLimits::DOCUMENT).unwrap();
    let expected = "{\"a\":{\"c\":{},\"d\":[]},\"b\":1,\"\u{e9}\":\"\\u0001\\u001f\\n\\\"/\\\\\u{1F600}\"}";
    assert_eq!(String::from_utf8(json::write(&value)).unwrap(), expected);
}

#[test]
fn a_number_has_one_form_whoever_made_it() {
    let value = json!({"a": 1.0, "b": [u64::MAX, -0.0]});
    assert_eq!(value["a"], json!(1));
    assert_eq!(json::write(&value), br#"{"a":1,"b":[18446744073709552000,0]}"#);
    assert_eq!(serde_json::from_str::<Value>("[1.0, -0, -0.0]").unwrap(), json!([1, 0, 0]));
}

fn mutation(text: &str) -> Code {
    Mutation::parse(text.as_bytes()).unwrap_err().code
}

#[test]
fn a_mutation_that_contradicts_itself_is_refused() {
    let head = r#"{"c":"deals","id":"1","base":0,"at":[1,0],"#;
    let table = [
        (r#""kind":"insert","set":{"/a":1},"unset":["/b"]}"#, Code::BadMutation),
        (r#""kind":"insert","inc":{"/a":1}}"#, Code::BadMutation),
        (r#""kind":"insert","set":{"/a/b":1}}"#, Code::BadMutation),
        (r#""kind":"delete","set":{"/a":1}}"#, Code::BadMutation),
        (r#""kind":"delete","add":{"/a":[1]}}"#, Code::BadMutation),
        (r#""kind":"patch","set":{"/a":1,"/a/b":2}}"#, Code::BadPath),
        (r#""kind":"patch","set":{"/a":1,"/a-b":1},"unset":["/a/b"]}"#, Code::BadPath),
        (r#""kind":"patch","set":{"/a":1},"inc":{"/a":2}}"#, Code::BadPath),
        (r#""kind":"patch","unset":["/a","/a"]}"#, Code::BadPath),
        (r#""kind":"patch","set":{"/id":"2"}}"#, Code::BadPath),
        (r#""kind":"patch","set":{"a":"2"}}"#, Code::BadPath),
        (r#""kind":"patch","set":{"/__proto__/x":1}}"#, Code::ForbiddenKey),
        (r#""kind":"patch","set":{"/a":{"constructor":1}}}"#, Code::ForbiddenKey),
        (r#""kind":"patch","set":{"/a":1,"/a":2}}"#, Code::BadJson),
        (r#""kind":"patch","inc":{"/a":1e999}}"#, Code::BadJson),
        (r#""kind":"patch","inc":{"/a":"1"}}"#, Code::BadMutation),
        (r#""kind":"replace"}"#, Code::BadMutation),
        (r#""kind":"patch","c":"x"}"#, Code::BadJson),
    ];
    for (tail, expected) in table {
        assert_eq!(mutation(&format!("{head}{tail}")), expected, "{tail}");
    }
    assert_eq!(mutation(r#"{"c":"no name","id":"1","kind":"patch","base":0,"at":[1,0]}"#), Code::BadName);
    assert_eq!(mutation("[]"), Code::BadMutation);
    assert_eq!(mutation("null"), Code::BadMutation);
    let error = Mutation::parse(br#"{"c":"deals","id":"1","kind":"patch","base":"secret","at":[1,0]}"#).unwrap_err();
    assert!(!error.message.contains("secret"), "an error never holds row data");
}

#[test]
fn a_path_and_its_value_are_together_no_deeper_than_a_document() {
    // What was there is shown in a conflict, and is no deeper either.
    for field in [r#""set""#, r#""set":{"/a":1},"was""#] {
        let patch = |path: usize, value: usize| {
            let (path, open, close) = ("/a".repeat(path), "[".repeat(value), "]".repeat(value));
            let text = format!(
                r#"{{"c":"d","id":"1","kind":"patch","base":0,"at":[1,0],{field}:{{"{path}":{open}{close}}}}}"#
            );
            Mutation::parse(text.as_bytes()).map(|_| ()).map_err(|error| error.code)
        };
        assert_eq!(patch(32, 32), Ok(()));
        assert_eq!(patch(32, 33), Err(Code::TooDeep), "{field}");
        assert_eq!(patch(1, 65), Err(Code::TooDeep));
        assert_eq!(patch(65, 1), Err(Code::BadPath));
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(json::number_of),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c/~\u{e9}]{0,2}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn writing_and_parsing_is_the_identity_of_canonical_values(value in any_json()) {
        let text = json::write(&value);
        let read = json::parse(&text, JsonLimits::DOCUMENT).unwrap();
        prop_assert_eq!(&read, &value);
        prop_assert_eq!(json::write(&read), text.clone());
        // Any reader gets the same value from the canonical text.
        prop_assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), value.clone());
        // And what another writer made of it is read as the same.
        let other = serde_json::to_vec(&value).unwrap();
        prop_assert_eq!(json::parse(&other, JsonLimits::DOCUMENT).unwrap(), value);
    }

    #[test]
    fn what_is_passed_over_is_json_too(
        value in any_json(),
        at in any::<prop::sample::Index>(),
        byte in prop::sample::select(b" ,:{}[]\"\\\n0-e.tn".to_vec()),
    ) {
        let mut text = json::write(&value);
        let raw = Raw::parse(&value.to_string()).unwrap();
        prop_assert_eq!(raw.get(), value.to_string());
        let place = at.index(text.len());
        text[place] = byte;
        if let Ok(text) = String::from_utf8(text) {
            let ours = Raw::parse(&text).is_ok();
            prop_assert_eq!(ours, serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "{}", text);
        }
    }

    #[test]
    fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _any_answer_will_do = json::parse(&bytes, JsonLimits::DOCUMENT);
    }
}
