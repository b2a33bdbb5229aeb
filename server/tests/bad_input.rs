//! Input that no client of ours sends, as raw bytes: each has the documented code and path, nothing of it is stored,
//! and what stands beside it is applied.

mod common;

use common::{Server, note, push_body};
use serde_json::json;

/// The text of a mutation that inserts a document with these fields.
fn insert(set: &str) -> String {
    format!(r#"{{"c":"notes","id":"bad","kind":"insert","base":0,"at":[1,0],"set":{set}}}"#)
}

fn titled(path: &str, value: &str) -> String {
    insert(&format!(r#"{{"/title":"t","{path}":{value}}}"#))
}

/// A push of a good mutation, this one, and another good one.
fn around(m: &str) -> Vec<u8> {
    push_body("r", 1, &[note("before"), json!("MUTATION"), note("after")]).to_string().replace("\"MUTATION\"", m).into()
}

/// An id and a collection of the wrong kind.
fn named(c: &str, id: &str) -> String {
    format!(r#"{{"c":"{c}","id":"{id}","kind":"insert","base":0,"at":[1,0],"set":{{"/title":"t"}}}}"#)
}

fn nested(depth: usize) -> String {
    format!("{}1{}", "[".repeat(depth), "]".repeat(depth))
}

/// A document of so many bytes, as canonical JSON.
fn sized(bytes: usize) -> String {
    let rest = r#"{"title":"t","x":""}"#.len();
    titled("/x", &format!("\"{}\"", "x".repeat(bytes - rest)))
}

#[tokio::test]
async fn a_bad_mutation_is_rejected_with_code_and_path_and_its_neighbours_are_applied() {
    let long_id = "i".repeat(129);
    let cases = [
        ("a number over every f64", titled("/x", "1e999"), "bad-json", None),
        ("65 levels", titled("/x", &nested(64)), "too-deep", Some("/x")),
        ("5,000 levels", titled("/x", &nested(5_000)), "too-deep", None),
        ("1 MiB and a byte", sized(1024 * 1024 + 1), "too-large", None),
        ("__proto__ as a field", titled("/__proto__", "1"), "forbidden-key", None),
        ("__proto__ inside", titled("/x", r#"{"a":[{"__proto__":1}]}"#), "forbidden-key", None),
        ("constructor", titled("/x", r#"{"constructor":1}"#), "forbidden-key", None),
        ("one key twice", titled("/x", r#"{"a":1,"a":2}"#), "bad-json", None),
        ("one field twice", insert(r#"{"/title":"a","/title":"b"}"#), "bad-json", Some("/title")),
        ("two ids", named("notes", r#"bad","id":"other"#), "bad-json", None),
        ("overlapping fields", insert(r#"{"/title":"t","/a":{},"/a/b":1}"#), "bad-mutation", None),
        ("a lone surrogate", titled("/x", r#""\ud800""#), "bad-json", None),
        ("a lone surrogate in a key", titled("/x", r#"{"\udc00":1}"#), "bad-json", None),
        ("an empty id", named("notes", ""), "bad-name", None),
        ("a long id", named("notes", &long_id), "bad-name", None),
        ("a NUL in an id", named("notes", r"a\u0000"), "bad-name", None),
        ("no name of a collection", named("no tes", "bad"), "bad-name", None),
        ("an unknown collection", named("cats", "bad"), "unknown-collection", None),
        ("no pointer", titled("x", "1"), "bad-path", None),
        ("no kind", r#"{"c":"notes","id":"bad","base":0,"at":[1,0]}"#.to_owned(), "bad-mutation", None),
        ("no object", "[]".to_owned(), "bad-mutation", None),
    ];
    for (what, m, code, path) in cases {
        let server = Server::start().await;
        let alice = server.token("alice");
        let body = around(&m);
        for attempt in 0..2 {
            let answer = server.post(&alice, "/api/sync/push", body.clone()).await.json();
            let verdict = &answer["verdicts"][1];
            assert_eq!(
                (&verdict["verdict"], &verdict["code"]),
                (&json!("rejected"), &json!(code)),
                "{what}: {verdict}"
            );
            assert_eq!(verdict["path"], json!(path), "{what}");
            assert!(!verdict["message"].as_str().expect("a message").is_empty(), "{what}");
            assert_eq!(verdict.get("duplicate").is_some(), attempt == 1, "{what}: the same verdict again");
        }
        let pulled = server.pull(&alice, None, &["notes"]).await;
        assert_eq!(pulled.ids(), ["before", "after"], "{what}");
    }
}

#[tokio::test]
async fn what_stands_at_the_limits_is_taken() {
    let server = Server::start().await;
    let alice = server.token("alice");
    for (number, m) in [titled("/x", &nested(63)), sized(1024 * 1024)].into_iter().enumerate() {
        let body = push_body("r", 1 + number as u64, &[json!("MUTATION")]).to_string();
        let body = body.replace("\"MUTATION\"", &m.replace("\"bad\"", &format!("\"good{number}\"")));
        let answer = server.post(&alice, "/api/sync/push", body).await.json();
        assert_eq!(answer["verdicts"][0]["verdict"], "applied", "{}", answer["verdicts"][0]);
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused_whole_and_can_be_sent_again() {
    let mut not_utf8 = around(&titled("/x", "\"HERE\""));
    let at = not_utf8.windows(4).position(|bytes| bytes == b"HERE").expect("the place");
    not_utf8[at] = 0xff;
    let whole = around(&titled("/x", "1"));
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("NaN", around(&titled("/x", "NaN")), "bad-json"),
        ("Infinity", around(&titled("/x", "-Infinity")), "bad-json"),
        ("a BigInt", around(&titled("/x", "1n")), "bad-json"),
        ("undefined", around(&titled("/x", "undefined")), "bad-json"),
        ("a function", around(&titled("/x", "function () {}")), "bad-json"),
        ("no UTF-8", not_utf8, "bad-json"),
        ("a cut body", whole[..whole.len() - 10].to_vec(), "bad-json"),
        ("garbage", vec![0, 159, 146, 150], "bad-json"),
        ("nothing", Vec::new(), "bad-json"),
        ("no object", b"null".to_vec(), "bad-message"),
    ];
    let server = Server::start().await;
    let alice = server.token("alice");
    for (what, body, code) in cases {
        let refused = server.post(&alice, "/api/sync/push", body.clone()).await.refused();
        assert_eq!(refused, (400, code.to_owned()), "{what}");
        assert_eq!(server.post(&alice, "/api/sync/pull", body).await.refused().0, 400, "{what}");
    }
    assert!(server.pull(&alice, None, &["notes"]).await.changes.is_empty());
    let answer = server.post(&alice, "/api/sync/push", whole).await.json();
    assert!(answer["verdicts"].as_array().expect("verdicts").iter().all(|verdict| verdict["verdict"] == "applied"));
}

#[tokio::test]
async fn a_refusal_does_not_say_again_all_that_was_sent() {
    let server = Server::start().await;
    let alice = server.token("alice");
    for body in [format!("\"{}\"", "x".repeat(40_000)), format!(r#"{{"v":1,"replica":"{}"}}"#, "ü".repeat(20_000))] {
        for path in ["/api/sync/push", "/api/sync/pull", "/api/dev/token"] {
            let answer = server.post(&alice, path, body[..body.len().min(50_000)].to_owned()).await;
            assert_eq!(answer.status.as_u16() / 100, 4, "{path}");
            assert!(answer.bytes.len() < 600, "{path}: {} bytes", answer.bytes.len());
        }
    }
}
