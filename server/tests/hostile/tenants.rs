//! A good token of Mallory's, and what is not his: rows, ids, cursors, replicas, owners.

use serde_json::{Value, json};

use super::case::{Family, PULL, PUSH};
use super::site::{Site, claims, token};

/// Reads and writes of rows of other users and other tenants: what Mallory may not see looks as if it were not there.
pub fn rows(site: &Site) -> Family<'_> {
    let mut family = Family::new("tenant", site);
    for (c, id) in [("drafts", "secret"), ("drafts", "other"), ("notes", "theirs"), ("drafts", "nowhere")] {
        for path in [
            format!("/api/sync/entities/{c}/{id}"),
            format!("/api/sync/entities/{c}/{id}/history"),
            format!("/api/sync/entities/{c}/{id}?tenant=other&org=other&user=alice"),
            format!("/api/sync/entities/%24conflicts/{id}"),
        ] {
            family.send(format!("GET {path}"), ("GET", &path), b"");
        }
        for header in ["x-tenant", "x-org", "x-tenant-id", "x-user", "tenant", "x-forwarded-host"] {
            let bearer = format!("Bearer {}", site.mallory);
            let path = format!("/api/sync/entities/{c}/{id}");
            let headers = [("authorization", bearer.as_str()), (header, "other")];
            family.bare(format!("GET {path} {header}"), ("GET", &path), &headers, b"");
        }
        writes(&mut family, c, id);
    }
    family
}

fn writes(family: &mut Family<'_>, c: &str, id: &str) {
    for base in [0, 1, 2, 1_000] {
        let head = format!(r#""c":"{c}","id":"{id}","base":{base},"at":[9,0]"#);
        for (what, rest) in [
            ("patch", r#""kind":"patch","set":{"/text":"mallory's"}"#),
            ("take over", r#""kind":"patch","set":{"/ownerId":"mallory"},"was":{"/ownerId":"alice"}"#),
            ("count", r#""kind":"patch","inc":{"/n":1}"#),
            ("add", r#""kind":"patch","add":{"/list":["x"]}"#),
            ("remove", r#""kind":"patch","unset":["/ownerId"]"#),
            ("decide", r#""kind":"patch","resolves":["0000000000000000-0000000000000001-00000000"]"#),
            ("delete", r#""kind":"delete""#),
        ] {
            family.mutation(format!("{what} {c}/{id} at {base}"), &format!("{{{head},{rest}}}"));
        }
    }
    if id == "secret" || id == "other" {
        let insert = r#""kind":"insert","set":{"/ownerId":"mallory","/text":"mine"}"#;
        let m = format!(r#"{{"c":"{c}","id":"{id}","base":0,"at":[9,0],{insert}}}"#);
        family.mutation(format!("insert over {c}/{id}"), &m);
    }
}

/// Who says that his store is another's, or that he is.
pub fn owners(site: &Site) -> Family<'_> {
    let mut family = Family::new("owner", site);
    let users = [
        json!({"tenant": "demo", "subject": "alice"}),
        json!({"tenant": "other", "subject": "carol"}),
        json!({"tenant": "other", "subject": "mallory"}),
        json!({"tenant": "demo", "subject": "Mallory"}),
        json!({"tenant": "demo", "subject": "mallory "}),
        json!({"tenant": "demo\u{0}", "subject": "mallory"}),
        json!({"tenant": "", "subject": ""}),
        json!({"tenant": "*", "subject": "*"}),
    ];
    for (n, user) in users.iter().enumerate() {
        let push = json!({"v": 1, "replica": "r", "as": user, "fence": 1, "floor": [0, 0], "now": 1, "mutations": []});
        family.post(format!("push as {n}"), PUSH, push.to_string());
        let pull = json!({"v": 1, "replica": "r", "as": user, "now": 1, "collections": ["notes"]});
        family.post(format!("pull as {n}"), PULL, pull.to_string());
    }
    // The numbers of others' replicas say nothing of what they hold.
    for replica in ["alice", "carol", "reader", "mallory"] {
        for n in 1..4 {
            let items =
                format!(r#"{{"n":[{n},0],"m":{{"c":"drafts","id":"p{n}","kind":"delete","base":0,"at":[1,0]}}}}"#);
            let text =
                format!(r#"{{"v":1,"replica":"{replica}","fence":1,"floor":[0,0],"now":1,"mutations":[{items}]}}"#);
            family.post(format!("number {n} of {replica}"), PUSH, text);
            let m =
                format!(r#""former":["{replica}",[{n},0]],"c":"drafts","id":"q","kind":"delete","base":0,"at":[1,0]"#);
            family.push(format!("formerly {n} of {replica}"), &format!(r#"{{"n":[7,{n}],"m":{{{m}}}}}"#));
        }
    }
    // Subjects that could be taken for a group, or for several.
    for subject in ["tenant", "user:alice", "alice\n", "alice,user:bob", "%", "_", "*", "ALICE", "alice ", "аlice"] {
        let bearer = format!("Bearer {}", token(&claims(subject, "demo")));
        for path in ["/api/sync/entities/drafts/secret", "/api/sync/status"] {
            let name = format!("{path} as {}", subject.escape_debug());
            family.bare(name, ("GET", path), &[("authorization", &bearer)], b"");
        }
        let pull = json!({"v": 1, "replica": "r", "now": 1, "collections": ["notes", "drafts", "$conflicts"]});
        let name = format!("pull as {}", subject.escape_debug());
        family.bare(name, ("POST", PULL), &[("authorization", &bearer)], pull.to_string().as_bytes());
    }
    family
}

/// Cursors of others, of another history, of tomorrow, of a scope that is not the reader's.
pub fn cursors(site: &Site) -> Family<'_> {
    let mut family = Family::new("cursor", site);
    let [own, alices, carols] = &site.cursors;
    let mut all: Vec<(String, Value)> = vec![
        ("Alice's".into(), alices.clone()),
        ("Carol's".into(), carols.clone()),
        ("Carol's under the own scope".into(), with(carols, "/scope", own["scope"].clone())),
        ("own under Carol's history".into(), with(own, "/history", json!("2297cd2032028cfb1dafc1c274e1ef1c"))),
    ];
    for seq in [0_u64, 1, 2, 3, 999, 1 << 53, u64::MAX] {
        all.push((format!("seq {seq}"), with(own, "/seq", json!(seq))));
        all.push((
            format!("seq {seq} of Carol's mark"),
            with(&with(own, "/seq", json!(seq)), "/mark", carols["mark"].clone()),
        ));
    }
    let mark = own["mark"].as_str().expect("a mark");
    for (what, mark) in [
        ("empty", String::new()),
        ("cut", mark[..mark.len() - 1].to_owned()),
        ("in capitals", mark.to_uppercase()),
        ("anchored", format!("4:{mark}")),
        ("anchored at 0", "0:".into()),
        ("anchored beyond", format!("18446744073709551615:{mark}")),
        ("anchored nowhere", format!("x:{mark}")),
        ("anchored twice", format!("4:4:{mark}")),
        ("anchored below 0", format!("-1:{mark}")),
        ("of SQL", "' OR 1=1;--".into()),
        ("long", "m".repeat(30_000)),
    ] {
        all.push((format!("mark {what}"), with(own, "/mark", json!(mark))));
    }
    for groups in [
        json!([]),
        json!(["tenant"]),
        json!(["user:alice"]),
        json!(["tenant", "user:alice", "user:mallory"]),
        json!(["tenant", "tenant"]),
        json!(["user:"]),
        json!(["*"]),
        json!([""]),
        json!([1]),
    ] {
        all.push((format!("groups {groups}"), with(own, "/scope/groups", groups)));
    }
    for collections in [
        json!([]),
        json!(["drafts"]),
        json!(["cats"]),
        json!(["notes", "notes"]),
        json!(["$local.notes"]),
        json!([""]),
        json!(["__proto__"]),
        json!([null]),
    ] {
        all.push((format!("collections {collections}"), with(own, "/scope/collections", collections)));
    }
    for policy in ["", "x", "0000000000000000"] {
        all.push((format!("policy {policy}"), with(own, "/scope/policy", json!(policy))));
    }
    for (what, cursor) in all {
        for verify in [false, true] {
            let pull = json!({"v": 1, "replica": "r", "now": 1, "collections": ["notes", "drafts", "$conflicts"],
                "cursor": cursor, "verify": verify, "reread": if verify { json!(["drafts"]) } else { json!([]) }});
            family.post(format!("{what}{}", if verify { ", verified" } else { "" }), PULL, pull.to_string());
        }
    }
    family
}

fn with(cursor: &Value, field: &str, value: Value) -> Value {
    let mut changed = cursor.clone();
    *changed.pointer_mut(field).expect("there") = value;
    changed
}
