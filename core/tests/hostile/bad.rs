//! Bad messages from good ones: each field of each kind, left out, twice.

use std::collections::BTreeSet;

use serde_json::Value;

/// Values of every kind as they stand in a text; the first ones are no JSON, or refused at the door.
pub const KINDS: [&str; 9] =
    ["NaN", "{\"__proto__\":1}", "null", "true", "-1", "18446744073709551615", "\"text\"", "[[1,0]]", "{}"];

/// Names and texts.
pub fn variants(message: &Value) -> Vec<(String, String)> {
    let mut fields = BTreeSet::new();
    pointers(message, "", &mut fields);
    let mut all = Vec::new();
    for field in &fields {
        let mut other = message.clone();
        *other.pointer_mut(field).expect("there") = Value::from("\u{1}");
        let other = ordered(&other);
        for kind in KINDS {
            all.push((format!("{field}={kind}"), other.replace("\"\\u0001\"", kind)));
        }
        let (above, name) = field.rsplit_once('/').expect("a pointer");
        let parent = message.pointer(above).expect("there");
        let name = &name.replace("~1", "/");
        let Some(value) = parent.get(name).filter(|_| parent.is_object()) else { continue };
        let mut less = message.clone();
        less.pointer_mut(above).and_then(Value::as_object_mut).expect("an object").remove(name);
        all.push((format!("no {field}"), ordered(&less)));
        let member = format!("\"{name}\":{value}");
        all.push((format!("{field} twice"), ordered(message).replacen(&member, &format!("{member},{member}"), 1)));
    }
    let text = ordered(message);
    for part in [1, 2, 3] {
        all.push((format!("cut at {part}/4"), text[..text.len() * part / 4].to_owned()));
    }
    all.push(("twice".into(), format!("{text}{text}")));
    all.push(("within 80 lists".into(), format!("{}{text}{}", "[".repeat(80), "]".repeat(80))));
    all
}

/// A change's line begins with its id.
pub fn ordered(message: &Value) -> String {
    let mut rest = message.clone();
    match rest.as_object_mut().and_then(|fields| fields.remove("id")) {
        Some(id) if message.get("c").is_some() => {
            format!("{{\"id\":{id},{}", rest.to_string().trim_start_matches('{'))
        }
        _ => message.to_string(),
    }
}

fn pointers(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    if !at.is_empty() {
        found.insert(at.to_owned());
    }
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| pointers(value, &format!("{at}/{}", key.replace('/', "~1")), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| pointers(item, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

/// What stands in the place of an answer that no sync server gives.
pub const PAGES: [&str; 14] = [
    "",
    " ",
    "\n\n\n",
    "null",
    "[]",
    "{}",
    "\"\"",
    "0",
    "<html>Welcome</html>",
    "{\"ok\":true}",
    "{\"code\":7}",
    "{\"pull\":null}",
    "{\"verdicts\":[]}",
    "\u{feff}{}",
];
