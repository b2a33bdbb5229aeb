//! Bodies that are no JSON, no such message, or one with a field of another kind.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::case::{Family, PULL, PUSH};
use super::site::{Site, now_ms};

pub const TOKEN: &str = "/api/dev/token";

/// Values of every kind, as they stand in a text; the first two are JSON to nobody, or to few.
pub const KINDS: [&str; 17] = [
    "NaN",
    "1e999",
    "null",
    "true",
    "0",
    "-1",
    "1.5",
    "2",
    "9007199254740993",
    "18446744073709551616",
    "\"\"",
    "\"text\"",
    "\"\\ud800\"",
    "[]",
    "[[0,0]]",
    "{}",
    "{\"__proto__\":{\"admin\":true}}",
];

/// Texts and bytes that no message begins with.
fn no_json() -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    let mut all = vec![
        ("nothing", Vec::new()),
        ("a blank", text(" ")),
        ("a NUL", vec![0]),
        ("a BOM", [b"\xef\xbb\xbf".as_slice(), b"{}"].concat()),
        ("UTF-16", b"\xff\xfe{\0}\0".to_vec()),
        ("no UTF-8", b"{\"v\":\"\xff\"}".to_vec()),
        ("an overlong slash", b"{\"v\":\"\xc0\xaf\"}".to_vec()),
        ("a surrogate in UTF-8", b"{\"v\":\"\xed\xa0\x80\"}".to_vec()),
        ("cut UTF-8", b"{\"v\":\"\xf0\x9f".to_vec()),
        ("garbage", vec![0, 159, 146, 150]),
        ("gzip unannounced", vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]),
        ("100,000 lists", b"[".repeat(50_000)),
        ("50,000 objects", b"{\"a\":".repeat(10_000)),
        ("a long number", b"1".repeat(40_000)),
        ("a long text", [b"\"".as_slice(), &b"x".repeat(40_000), b"\""].concat()),
        ("a long key", [b"{\"".as_slice(), &b"k".repeat(40_000), b"\":1}"].concat()),
        ("blanks", b" ".repeat(60_000)),
    ];
    let short = [
        "{",
        "}",
        "[",
        "]",
        "[]",
        "{}",
        "null",
        "true",
        "1",
        "-",
        "1e5",
        "01",
        "NaN",
        "\"\"",
        "'a'",
        "{a:1}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{} {}",
        "{}x",
        "[1,]",
        "// c\n{}",
        "{\"a\":1 \"b\":2}",
        "\"\\x\"",
        "undefined",
        "{\"a\":0x10}",
        "{\"v\":1,\"v\":1}",
        "{\"\\ud800\":1}",
        "<html>",
        "v=1&replica=r",
        "--b\r\n",
        "%7B%7D",
    ];
    all.extend(short.map(|short| (short, text(short))));
    all
}

pub fn no_message(site: &Site) -> Family<'_> {
    let mut family = Family::new("body", site);
    for path in [PUSH, PULL, TOKEN] {
        for (what, body) in no_json() {
            family.post(format!("{path} {what}"), path, body);
        }
    }
    family
}

/// A good message of each kind, and which of its fields are looked at.
fn good(site: &Site) -> [(&'static str, Value); 3] {
    let m = json!({"c": "notes", "id": "shape", "kind": "insert", "base": 0, "set": {"/title": "t"}, "at": [1, 0]});
    let item = json!({"n": [1, 0], "tx": [1, 0], "m": m, "at": [1, 0], "old": false});
    let owner = json!({"tenant": "demo", "subject": "mallory"});
    let history = &site.cursors[0]["history"];
    let push = json!({"v": 1, "replica": "shape", "as": owner, "history": history, "fence": 1, "floor": [0, 0],
        "now": 1, "sent_at": 1, "mutations": [item]});
    let pull = json!({"v": 1, "replica": "shape", "as": owner, "cursor": site.cursors[0], "now": now_ms(),
        "collections": ["notes"], "verify": false, "reread": ["notes"]});
    let token = json!({"user": "mallory", "tenant": "demo", "ttlSeconds": 60});
    [(PUSH, push), (PULL, pull), (TOKEN, token)]
}

/// Every field of every message: of each kind, left out, twice, in another case.
pub fn shapes(site: &Site) -> Family<'_> {
    let mut family = Family::new("shape", site);
    for (path, message) in good(site) {
        let mut fields = BTreeSet::new();
        pointers(&message, "", &mut fields);
        for field in &fields {
            for kind in KINDS {
                let text = with(&message, field, &json!("\u{1}")).to_string().replace("\"\\u0001\"", kind);
                family.post(format!("{path} {field}={kind}"), path, text);
            }
            without(&mut family, path, &message, field);
        }
    }
    family
}

fn without(family: &mut Family<'_>, path: &str, message: &Value, field: &str) {
    let (above, name) = field.rsplit_once('/').expect("a pointer");
    let parent = message.pointer(above).expect("there");
    let Some(value) = parent.get(name).filter(|_| parent.is_object()) else { return };
    let mut less = message.clone();
    less.pointer_mut(above).and_then(Value::as_object_mut).expect("an object").remove(name);
    family.post(format!("{path} no {field}"), path, less.to_string());
    let member = format!("\"{name}\":{value}");
    let text = message.to_string();
    family.post(format!("{path} {field} twice"), path, text.replacen(&member, &format!("{member},{member}"), 1));
    let upper = format!("\"{}\":{value}", name.to_uppercase());
    family.post(format!("{path} {field} in capitals"), path, text.replacen(&member, &upper, 1));
}

/// Where values are; of a mutation only that it is there: its fields are a family of their own.
fn pointers(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    if !at.is_empty() {
        found.insert(at.to_owned());
    }
    match value {
        Value::Object(map) if !at.ends_with("/m") => {
            map.iter().for_each(|(key, value)| pointers(value, &format!("{at}/{key}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| pointers(value, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

fn with(message: &Value, field: &str, value: &Value) -> Value {
    let mut changed = message.clone();
    *changed.pointer_mut(field).expect("there") = value.clone();
    changed
}
