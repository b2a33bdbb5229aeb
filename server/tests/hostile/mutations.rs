//! Mutations that say nothing, too much, or something else than they should. Each is the only one of its push: the
//! answer is its verdict.

use serde_json::{Value, json};

use super::bodies::KINDS;
use super::case::Family;
use super::site::Site;

fn patch() -> Value {
    json!({"c": "notes", "id": "own", "kind": "patch", "base": 5, "if_rev": 5, "set": {"/a": 1}, "unset": ["/b"],
        "inc": {"/i": 1}, "add": {"/l": ["x"]}, "remove": {"/r": ["y"]}, "was": {"/a": 0}, "resolves": ["c1"],
        "reopens": ["c2"], "at": [1, 0], "synced_clock": true, "retry_of": [1, 0], "former": ["r0", [1, 0]]})
}

/// Every field of a mutation, of each kind or twice or not there.
pub fn fields(site: &Site) -> Family<'_> {
    let mut family = Family::new("mutation", site);
    let good = patch();
    for (key, value) in good.as_object().expect("an object") {
        for kind in KINDS.iter().filter(|kind| **kind != "NaN") {
            let mut m = good.clone();
            m[key] = json!("\u{1}");
            family.mutation(format!("{key}={kind}"), &m.to_string().replace("\"\\u0001\"", kind));
        }
        let mut less = good.clone();
        less.as_object_mut().expect("an object").remove(key);
        family.mutation(format!("no {key}"), &less.to_string());
        let member = format!("\"{key}\":{value}");
        family.mutation(format!("{key} twice"), &good.to_string().replacen(&member, &format!("{member},{member}"), 1));
    }
    family
}

/// Pointers that are none, that lead where nothing may be written, or that are too much.
pub fn paths(site: &Site) -> Family<'_> {
    let mut family = Family::new("path", site);
    let long = format!("/{}", "k".repeat(1_024));
    let deep = "/a".repeat(65);
    let bad = [
        "",
        "a",
        "a/b",
        "//",
        "/",
        "/a/",
        "/~",
        "/~2",
        "/a~",
        "/id",
        "/id/x",
        "/__proto__",
        "/a/__proto__/b",
        "/constructor",
        "/prototype/x",
        "/a\\u0000",
        "/a\\u001f",
        "/\\ud800",
        "/-",
        "/0",
        "/a/-",
        "#/a",
        "$.a",
        "/a/..",
        "/\\u202e",
        "/a//b",
        "/ ",
        "/title/x",
        "/title",
        &long,
        &deep,
    ];
    for path in bad {
        let short = &path[..path.len().min(24)];
        for (op, value) in [("set", "1"), ("inc", "1"), ("add", "[1]"), ("remove", "[1]"), ("was", "1"), ("unset", "")]
        {
            let part = if op == "unset" { format!("[\"{path}\"]") } else { format!("{{\"{path}\":{value}}}") };
            let m = format!(
                r#"{{"c":"notes","id":"own","kind":"patch","base":5,"at":[1,0],"{op}":{part}{}}}"#,
                if op == "was" { r#","set":{"/w":1}"# } else { "" }
            );
            family.mutation(format!("{op} {short}"), &m);
        }
        let head = r#""c":"notes","id":"own","kind":"patch","base":5,"at":[1,0]"#;
        let overlap = format!(r#"{{{head},"unset":["/o/p"],"set":{{"/o":1,"{path}":1}}}}"#);
        family.mutation(format!("overlap {short}"), &overlap);
    }
    family
}

fn nested(open: &str, close: &str, depth: usize) -> String {
    format!("{}1{}", open.repeat(depth), close.repeat(depth))
}

/// Values that are no JSON, too deep, too large, or dangerous, in each place where a value may stand.
pub fn values(site: &Site) -> Family<'_> {
    let mut family = Family::new("value", site);
    let mut bad: Vec<(String, String)> = [
        "1e999",
        "-1e999",
        "{\"a\":1,\"a\":2}",
        "{\"a\":{\"b\":1,\"\\u0062\":2}}",
        "\"\\ud800\"",
        "\"\\udc00x\"",
        "{\"\\ud800\":1}",
        "{\"__proto__\":1}",
        "{\"a\":[{\"__proto__\":1}]}",
        "{\"\\u005f_proto__\":1}",
        "{\"constructor\":1}",
        "{\"prototype\":{}}",
        "\"\\u0000\"",
        "1e-400",
        "-0",
        "9007199254740993",
        "123456789012345678901234567890",
        "{\"\":{\"\":{}}}",
        "{\"/\":1,\"~\":2}",
        "[null,[null]]",
    ]
    .map(|text| (text.to_owned(), text.to_owned()))
    .into();
    for depth in [63, 64, 65, 120, 126, 127, 128, 129, 200, 2_000, 20_000] {
        bad.push((format!("{depth} lists"), nested("[", "]", depth)));
    }
    for depth in [64, 130, 5_000] {
        bad.push((format!("{depth} objects"), nested("{\"a\":", "}", depth)));
    }
    bad.push(("a key of 1,100 bytes".into(), format!("{{\"{}\":1}}", "k".repeat(1_100))));
    bad.push(("500 keys".into(), {
        let members: Vec<String> = (0..500).map(|n| format!("\"k{n}\":{n}")).collect();
        format!("{{{}}}", members.join(","))
    }));
    for (what, value) in &bad {
        let head = r#""c":"notes","base":5,"at":[1,0]"#;
        for (place, part) in [
            ("set", format!(r#""id":"own","kind":"patch","set":{{"/v":{value}}}"#)),
            ("inside", format!(r#""id":"own","kind":"patch","set":{{"/v":{{"x":[{value}]}}}}"#)),
            ("insert", format!(r#""id":"value","kind":"insert","set":{{"/title":"t","/v":{value}}}"#)),
            ("add", format!(r#""id":"own","kind":"patch","add":{{"/l":[{value}]}}"#)),
            ("was", format!(r#""id":"own","kind":"patch","set":{{"/w":1}},"was":{{"/w":{value}}}"#)),
        ] {
            family.mutation(format!("{place} {what}"), &format!("{{{head},{part}}}"));
        }
    }
    family
}

/// Names of collections, ids, replicas and users that are none, or somebody's who must not be reached so.
pub fn names(site: &Site) -> Family<'_> {
    let mut family = Family::new("name", site);
    let long = "n".repeat(129);
    let bad = [
        "",
        " ",
        "a b",
        "-a",
        "1a",
        "a.b",
        "a/b",
        "../notes",
        "notes ",
        "NOTES",
        "$conflicts",
        "$local.notes",
        "$x",
        "__proto__",
        "constructor",
        "prototype",
        "toString",
        "notes\\u0000",
        "n\\u00f6tes",
        "\\ud83d\\ude00",
        "cats",
        "sqlite_master",
        "notes'; DROP TABLE rows;--",
        "%00",
        "*",
        "~r",
        "tenant",
        "user:alice",
        "\\u202enotes",
        &long,
    ];
    for name in bad {
        let short = &name[..name.len().min(24)];
        let insert = |c: &str, id: &str| {
            format!(r#"{{"c":"{c}","id":"{id}","kind":"insert","base":0,"at":[1,0],"set":{{"/title":"t"}}}}"#)
        };
        family.mutation(format!("collection {short}"), &insert(name, "n"));
        family.mutation(format!("id {short}"), &insert("notes", name));
        let push = |replica: &str, n: &str| {
            format!(r#"{{"v":1,"replica":"{replica}","fence":1,"floor":[0,0],"now":1,"mutations":[{n}]}}"#)
        };
        family.post(format!("replica {short}"), super::case::PUSH, push(name, ""));
        let pull = format!(r#"{{"v":1,"replica":"r","now":1,"collections":["notes","{name}"]}}"#);
        family.post(format!("pulled {short}"), super::case::PULL, pull);
        let reread = format!(r#"{{"v":1,"replica":"r","now":1,"collections":["notes"],"reread":["{name}"]}}"#);
        family.post(format!("read again {short}"), super::case::PULL, reread);
        let token = format!(r#"{{"user":"{name}","tenant":"t"}}"#);
        family.post(format!("user {short}"), super::bodies::TOKEN, token);
    }
    family
}

/// Numbers at the edges of what a number may be, wherever one stands.
pub fn numbers(site: &Site) -> Family<'_> {
    let mut family = Family::new("number", site);
    let edges = [
        "9007199254740991",
        "9007199254740992",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "1e15",
        "1e16",
        "1e308",
        "-0",
        "-1",
        "0.5",
        "4294967295",
        "4294967296",
    ];
    for edge in edges {
        let push = |head: &str, items: &str| {
            let all = [("fence", "1"), ("floor", "[0,0]"), ("now", "1")];
            let rest: String = all
                .iter()
                .filter(|(key, _)| !head.starts_with(&format!("\"{key}\"")))
                .map(|(key, value)| format!("\"{key}\":{value},"))
                .collect();
            let replica = format!("edge{}", edge.len());
            format!(r#"{{"v":1,"replica":"{replica}",{rest}{head}"mutations":[{items}]}}"#)
        };
        for (what, head) in [
            ("fence", format!("\"fence\":{edge},")),
            ("now", format!("\"now\":{edge},")),
            ("sent_at", format!("\"sent_at\":{edge},")),
            ("floor index", format!("\"floor\":[0,{edge}],")),
        ] {
            family.post(format!("{what} {edge}"), super::case::PUSH, push(&head, ""));
        }
        let own_floor = push(&format!("\"floor\":[{edge},0],"), "").replace("edge", &format!("floor{}", edge.len()));
        family.post(format!("floor {edge}"), super::case::PUSH, own_floor);
        for (what, item) in [
            ("n", format!(r#"{{"n":[{edge},0]}}"#)),
            ("n index", format!(r#"{{"n":[1,{edge}]}}"#)),
            ("void at", format!(r#"{{"n":[1,0],"at":[{edge},0]}}"#)),
            ("tx", format!(r#"{{"n":[1,0],"tx":[{edge},0]}}"#)),
        ] {
            family.push(format!("{what} {edge}"), &item);
        }
        for (what, part) in [
            ("base", format!(r#""base":{edge},"at":[1,0],"set":{{"/n":1}}"#)),
            ("stamp", format!(r#""base":5,"at":[{edge},0],"set":{{"/n":1}}"#)),
            ("stamp counter", format!(r#""base":5,"at":[1,{edge}],"set":{{"/n":1}}"#)),
            ("inc", format!(r#""base":5,"at":[1,0],"inc":{{"/sum":{edge}}}"#)),
            ("if_rev", format!(r#""base":5,"if_rev":{edge},"at":[1,0],"set":{{"/n":1}}"#)),
        ] {
            family.mutation(format!("{what} {edge}"), &format!(r#"{{"c":"notes","id":"own","kind":"patch",{part}}}"#));
        }
        let pull = format!(r#"{{"v":1,"replica":"r","now":{edge},"collections":["notes"]}}"#);
        family.post(format!("pull now {edge}"), super::case::PULL, pull);
        let token = format!(r#"{{"user":"mallory","ttlSeconds":{edge}}}"#);
        family.post(format!("ttl {edge}"), super::bodies::TOKEN, token);
    }
    family
}
