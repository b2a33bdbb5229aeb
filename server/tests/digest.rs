//! Rule 25 on the server: digests of what a reader sees, and collections that are read again.

mod common;

use common::{Pulled, Server, delete, draft, insert, note, patch, pull_body, push_body, rev};
use serde_json::{Value, json};
use tidewire_core::limits::PULL_CHECKPOINT_ROWS;
use tidewire_core::model::digest::Digest;

const ALL: [&str; 3] = ["notes", "drafts", "both"];

/// A pull that asks for digests, and for collections to be read again.
async fn verify(server: &Server, token: &str, cursor: Option<&Value>, reread: &[&str]) -> Pulled {
    let mut body = pull_body(cursor, &ALL);
    body["verify"] = json!(true);
    body["reread"] = json!(reread);
    Pulled::new(server.post(token, "/api/sync/pull", body.to_string()).await.lines())
}

fn digests(pulled: &Pulled) -> &Value {
    &pulled.checkpoints.last().expect("a checkpoint")["digests"]
}

/// What a client that has just these changes comes to, over the very bytes that it was sent.
fn digest_of(pulled: &Pulled, collection: &str) -> String {
    let mut digest = Digest::default();
    for change in pulled.changes.iter().filter(|change| change["c"] == collection) {
        if let Some(doc) = change.get("doc") {
            digest.add(change["id"].as_str().expect("an id"), rev(change), doc.to_string().as_bytes());
        }
    }
    digest.text()
}

#[tokio::test]
async fn rule_25_a_digest_is_of_what_this_reader_sees_at_the_cursor_of_done() {
    let server = Server::start().await;
    let (alice, bob) = (server.token("alice"), server.token("bob"));
    let both = |id: &str, owner: &str| insert("both", id, json!({"ownerId": owner}));
    let made = [note("a"), note("b"), draft("d", "alice"), draft("e", "bob"), both("x", "alice"), both("y", "bob")];
    let made = server.push(&alice, "r", 1, &made).await;
    let first = verify(&server, &alice, None, &[]).await;
    server.push(&alice, "r", 10, &[delete("notes", "a", rev(&made[0])), note("c")]).await;
    server
        .push(&alice, "r", 20, &[patch("drafts", "d", rev(&made[2]), "/ownerId", json!("alice"), json!("bob"))])
        .await;
    for (token, counts) in [(&alice, ["2", "0", "2"]), (&bob, ["2", "2", "2"])] {
        let whole = verify(&server, token, None, &[]).await;
        for (name, count) in ALL.iter().zip(counts) {
            let digest = digests(&whole)[name].as_str().expect("a digest");
            assert_eq!(digest, digest_of(&whole, name), "{name}");
            assert_eq!(digest.split_once('-').expect("two parts").0, count, "{name}: each entity counts once");
        }
    }
    // One that goes on is told the same as one that begins.
    let next = verify(&server, &alice, Some(first.cursor()), &[]).await;
    assert_eq!(digests(&next), digests(&verify(&server, &alice, None, &[]).await));
    assert_ne!(digests(&next)["notes"], digests(&first)["notes"]);
    let plain = server.pull(&alice, Some(first.cursor()), &ALL).await;
    assert_eq!(digests(&plain), &Value::Null, "not asked, not computed");
}

#[tokio::test]
async fn rule_25_numbers_have_one_form_whoever_wrote_them() {
    let (one, other) = (Server::start().await, Server::start().await);
    for (server, doc) in [
        (&one, r#"{"/title":"t","/zero":-0,"/one":1.0,"/big":1e21,"/small":1E-7}"#),
        (&other, r#"{"/small":0.0000001,"/big":1000000000000000000000,"/one":1,"/zero":0.0,"/title":"\u0074"}"#),
    ] {
        let mutation = format!(r#"{{"c":"notes","id":"n","kind":"insert","base":0,"at":[1,0],"set":{doc}}}"#);
        let body = push_body("r", 1, &[json!("MUTATION")]).to_string().replace("\"MUTATION\"", &mutation);
        let answer = server.post(&server.token("alice"), "/api/sync/push", body).await;
        assert_eq!(answer.json()["verdicts"][0]["verdict"], "applied", "{doc}");
    }
    let (a, b) =
        (verify(&one, &one.token("alice"), None, &[]).await, verify(&other, &other.token("alice"), None, &[]).await);
    assert_eq!(digests(&a)["notes"], digests(&b)["notes"]);
    let mut digest = Digest::default();
    digest.add("n", 1, br#"{"big":1e+21,"one":1,"small":1e-7,"title":"t","zero":0}"#);
    assert_eq!(digests(&a)["notes"], digest.text(), "as JavaScript writes them");
}

#[tokio::test]
async fn rule_25_a_collection_that_is_read_again_comes_whole_and_the_others_go_on() {
    let server = Server::start().await;
    let alice = server.token("alice");
    let notes: Vec<Value> = (0..700).map(|i| note(&format!("n{i}"))).collect();
    server.push(&alice, "r", 1, &notes).await;
    server.push(&alice, "r", 1_000, &[draft("d", "alice")]).await;
    let first = verify(&server, &alice, None, &["notes"]).await;
    assert_eq!(first.header.get("reread"), None, "everything comes whole anyway");
    server.push(&alice, "r", 2_000, &[draft("e", "alice")]).await;
    let again = verify(&server, &alice, Some(first.cursor()), &["notes", "secrets"]).await;
    assert_eq!((&again.header["reread"], again.changes.len()), (&json!(["notes"]), 701), "the notes, and what is new");
    assert_eq!(&again.header["after"], first.cursor());
    assert_eq!(digests(&again)["notes"], digest_of(&again, "notes"));
    let resumed = server.pull(&alice, Some(&again.checkpoints[0]["cursor"]), &ALL).await;
    assert_eq!(resumed.header.get("reset"), None);
    assert_eq!(resumed.changes.len(), 702 - PULL_CHECKPOINT_ROWS, "it goes on behind the checkpoint");
}
